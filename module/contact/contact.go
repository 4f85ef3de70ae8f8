// SPDX-License-Identifier: Apache-2.0

// Package contact tells whoever asks where the server's people can be reached.
//
// XEP-0157 (complete, 1.1.1)
package contact

import (
	"fmt"
	"net/url"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// formType names the form. XEP-0157 §3
const formType = "http://jabber.org/network/serverinfo"

// Config is the key modules.contact: addresses as URIs, like mailto:admin@example.org,
// xmpp:admin@example.org or https://example.org/help. Everybody can read them.
type Config struct {
	// Of those who run the server.
	Admin []Address `yaml:"admin" default:"[]"`
	// For reports of abuse.
	Abuse []Address `yaml:"abuse" default:"[]"`
	// For what users think of the service.
	Feedback []Address `yaml:"feedback" default:"[]"`
	// For customers to be.
	Sales []Address `yaml:"sales" default:"[]"`
	// For reports of holes in security.
	Security []Address `yaml:"security" default:"[]"`
	// Where it is said whether the service works.
	Status []Address `yaml:"status" default:"[]"`
	// For users who need help.
	Support []Address `yaml:"support" default:"[]"`
}

// Address is an absolute URI.
type Address string

// UnmarshalText refuses what is no absolute URI, and addresses of mail and XMPP that are none.
func (a *Address) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	switch {
	case err != nil || u.Scheme == "":
		return fmt.Errorf("%q is not a URI, like mailto:admin@example.org, xmpp:admin@example.org or https://example.org/help", text)
	case u.Opaque == "" && u.Host == "":
		return fmt.Errorf("%q names nobody", text)
	}
	if u.Scheme == "xmpp" || u.Scheme == "mailto" { // RFC 5122 §2.2, RFC 6068 §2
		name, err := url.PathUnescape(u.Opaque)
		if err == nil {
			_, err = jid.Parse(name)
		}
		if err != nil {
			return fmt.Errorf("%q is not an address: %w", text, err)
		}
	}
	*a = Address(text)
	return nil
}

// Disco is what this module needs of module disco.
type Disco interface {
	// Extend adds a form to what the server says of itself.
	Extend(*form.Form)
}

// Module publishes the addresses.
type Module struct {
	config Config
	disco  Disco
}

// New makes the module.
func New(c Config, d Disco) *Module { return &Module{c, d} }

// Name implements server.Module.
func (*Module) Name() string { return "contact" }

// Init implements server.Module. Without an address nothing is published.
func (m *Module) Init(*server.Host) error {
	c, f := &m.config, form.New(form.Result, formType)
	for _, x := range []struct {
		name      string
		addresses []Address
	}{
		{"abuse", c.Abuse}, {"admin", c.Admin}, {"feedback", c.Feedback}, {"sales", c.Sales},
		{"security", c.Security}, {"status", c.Status}, {"support", c.Support},
	} {
		if len(x.addresses) == 0 {
			continue
		}
		field := form.Field{Var: x.name + "-addresses", Type: form.ListMulti}
		for _, a := range x.addresses {
			field.Values = append(field.Values, string(a))
		}
		f.Fields = append(f.Fields, field)
	}
	if len(f.Fields) > 1 {
		m.disco.Extend(f)
	}
	return nil
}
