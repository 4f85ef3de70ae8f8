// SPDX-License-Identifier: Apache-2.0

package sensordata

import (
	"net/url"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// RecordName is what SenML calls a field of a node: FIELD, NODE/FIELD, SOURCE/NODE/FIELD or SOURCE/CACHE/NODE/FIELD, with what names
// of SenML cannot have escaped, as Mapping writes it. RFC 8428 §4.5.1
func RecordName(n Node, field string) string { return recordName("", n, field) }

// ParseRecordName reads what RecordName writes.
func ParseRecordName(name string) (n Node, field string, ok bool) { return parseName("", name) }

// PublishedAt names the node of a publish-subscribe service, such as a thing's account is (XEP-0163), at which a field is published in
// SenML: of the thing itself urn:ietf:params:xml:ns:senml#FIELD, and of what it speaks for
// urn:ietf:params:xml:ns:senml/ID#FIELD, /ID/SOURCE#FIELD or /ID/SOURCE/CACHE#FIELD, each part escaped as in paths of URIs.
func PublishedAt(n Node, field string) string {
	parts := []string{n.ID, n.Source, n.Cache}
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	var b strings.Builder
	b.WriteString(senml.NS)
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	b.WriteString("#" + field)
	return b.String()
}

// ParsePublishedAt reads what PublishedAt writes, and nothing that it would write otherwise.
func ParsePublishedAt(node string) (n Node, field string, ok bool) {
	path, field, ok := strings.Cut(strings.TrimPrefix(node, senml.NS), "#")
	if !ok || field == "" || !strings.HasPrefix(node, senml.NS) {
		return Node{}, "", false
	}
	for i, part := range strings.Split(path, "/") {
		part, err := url.PathUnescape(part)
		if err != nil {
			return Node{}, "", false
		}
		switch i {
		case 0: // before the first slash
		case 1:
			n.ID = part
		case 2:
			n.Source = part
		case 3:
			n.Cache = part
		}
	}
	return n, field, PublishedAt(n, field) == node
}
