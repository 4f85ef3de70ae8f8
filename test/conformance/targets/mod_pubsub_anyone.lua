-- SPDX-License-Identifier: Apache-2.0
-- Lets every account create nodes; mod_pubsub of Prosody 0.12 lets only administrators.
local service = module:depends("pubsub").service;
local capabilities = {};
for affiliation, can in pairs(service.config.capabilities) do
	capabilities[affiliation] = setmetatable({ create = affiliation ~= "outcast" }, { __index = can });
end
service.config.capabilities = capabilities;
