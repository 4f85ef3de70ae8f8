// SPDX-License-Identifier: Apache-2.0

package caps_test

import (
	"crypto/sha1" //nolint:gosec // as in the package
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: the vectors of the specification, then its rules of
// rejection, then a comparison with the slow oracle of oracle_test.go.

func TestCodec(t *testing.T) {
	exodus := &caps.Caps{Hash: caps.SHA1, Node: "http://exodus.example.org/caps", Ver: "QgayPKawpkPSDYmwT/WM94uAlu0="}
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0115-6.1-presence", Want: exodus},
		{File: "xep0115-1.3-legacy", Want: &caps.Caps{Node: "http://exodus.example.org/caps", Ver: "0.9"}, Lossy: true}, // ext
	})
	if exodus.InfoNode() != "http://exodus.example.org/caps#QgayPKawpkPSDYmwT/WM94uAlu0=" {
		t.Errorf("InfoNode = %s", exodus.InfoNode())
	}
	for _, attrs := range []string{"", "node='n'", "ver='v'", "hash='sha-1' node='' ver='v'"} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: attrs, Into: &caps.Caps{}, Condition: stanza.BadRequest,
			XML: "<c xmlns='http://jabber.org/protocol/caps' " + attrs + "/>"}})
	}
}

// exodus and psi are the answers of XEP-0115 §5.2 and §5.3.
func exodus() *disco.Info {
	return &disco.Info{
		Identities: []disco.Identity{{Category: "client", Type: "pc", Name: "Exodus 0.9.1"}},
		Features:   []string{"http://jabber.org/protocol/muc", disco.NSItems, disco.NSInfo, "http://jabber.org/protocol/caps"},
	}
}

func psi(t *testing.T) *disco.Info {
	t.Helper()
	golden, err := os.ReadFile("../disco/testdata/xep0115-5.3-result.xml")
	if err != nil {
		t.Fatal(err)
	}
	xml := string(golden)
	xml = xml[strings.Index(xml, "<query") : strings.Index(xml, "</query>")+len("</query>")]
	info := new(disco.Info)
	if err := xmpptest.Decode(xml, info); err != nil {
		t.Fatal(err)
	}
	return info
}

func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, hash string
		info       *disco.Info
		want       string
	}{
		{"simple", caps.SHA1, exodus(), "QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"complex", caps.SHA1, psi(t), "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		{"simple with SHA-256", caps.SHA256, exodus(), "Wr6IGEKhx6b9627gBmi/cCmpxXBc/GYq5zWuYfWGWoc="},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := caps.Ver(c.hash, c.info)
			if err != nil || got != c.want {
				t.Fatalf("Ver = %s, %v; want %s", got, err, c.want)
			}
			announced := &caps.Caps{Hash: c.hash, Node: "n", Ver: c.want}
			if err := announced.Verify(c.info); err != nil {
				t.Errorf("Verify: %v", err)
			}
			c.info.Features = append(c.info.Features, "urn:x")
			if err := announced.Verify(c.info); !errors.Is(err, caps.ErrMismatch) {
				t.Errorf("Verify with another feature: %v", err)
			}
		})
	}
}

func TestOrderMakesNoDifference(t *testing.T) {
	info := psi(t)
	info.Forms = append(info.Forms, form.New(form.Result, "urn:x:a", form.Value("k", "2", "1"), form.Value("i")))
	want, err := caps.Ver(caps.SHA1, info)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r.Shuffle(len(info.Identities), func(i, j int) {
			info.Identities[i], info.Identities[j] = info.Identities[j], info.Identities[i]
		})
		r.Shuffle(len(info.Features), func(i, j int) {
			info.Features[i], info.Features[j] = info.Features[j], info.Features[i]
		})
		r.Shuffle(len(info.Forms), func(i, j int) { info.Forms[i], info.Forms[j] = info.Forms[j], info.Forms[i] })
		for _, f := range info.Forms {
			r.Shuffle(len(f.Fields), func(i, j int) { f.Fields[i], f.Fields[j] = f.Fields[j], f.Fields[i] })
			for _, field := range f.Fields {
				v := field.Values
				r.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
			}
		}
		first := info.Features[0]
		if got, err := caps.Ver(caps.SHA1, info); err != nil || got != want {
			t.Fatalf("Ver = %s, %v; want %s", got, err, want)
		}
		if info.Features[0] != first {
			t.Fatal("Ver sorted its argument")
		}
	}
}

// The rules of XEP-0115 §5.4, by number.
func TestRejection(t *testing.T) {
	hidden := func(formType string, fields ...form.Field) *form.Form {
		return form.New(form.Result, formType, fields...)
	}
	same, err := caps.Ver(caps.SHA1, exodus())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*disco.Info)
		ill    bool
		same   bool // as if the change were not there
	}{
		{"3.3: identity twice", func(i *disco.Info) { i.Identities = append(i.Identities, i.Identities[0]) }, true, false},
		{"identities that differ in name", func(i *disco.Info) {
			i.Identities = append(i.Identities, disco.Identity{Category: "client", Type: "pc", Name: "x"})
		}, false, false},
		{"3.4: feature twice", func(i *disco.Info) { i.Features = append(i.Features, disco.NSInfo) }, true, false},
		{"3.5: two forms of a type", func(i *disco.Info) { i.Forms = []*form.Form{hidden("a"), hidden("b"), hidden("a")} }, true, false},
		{"3.5: form of two types", func(i *disco.Info) {
			i.Forms = []*form.Form{hidden("a")}
			i.Forms[0].Fields[0].Values = []string{"a", "b"}
		}, true, false},
		{"form of one type said twice", func(i *disco.Info) {
			i.Forms = []*form.Form{hidden("a")}
			i.Forms[0].Fields[0].Values = []string{"a", "a"}
		}, false, false},
		{"3.6: form without a type", func(i *disco.Info) { i.Forms = []*form.Form{hidden("", form.Value("a", "b"))} }, false, true},
		{"3.6: form with a visible type", func(i *disco.Info) {
			i.Forms = []*form.Form{hidden("a", form.Value("a", "b"))}
			i.Forms[0].Fields[0].Type = form.TextSingle
		}, false, true},
		{"3.6: form with an unmarked type", func(i *disco.Info) {
			i.Forms = []*form.Form{hidden("a", form.Value("a", "b"))}
			i.Forms[0].Fields[0].Type = ""
		}, false, true},
		{"form with an empty type", func(i *disco.Info) {
			i.Forms = []*form.Form{hidden("a")}
			i.Forms[0].Fields[0].Values = nil
		}, false, true},
		{"separator in a name", func(i *disco.Info) { i.Identities[0].Name += "<" }, true, false},
		{"slash in a name", func(i *disco.Info) { i.Identities[0].Name += "/" }, false, false},
		{"slash in a category", func(i *disco.Info) { i.Identities[0].Category = "client/pc" }, true, false},
		{"slash in a type", func(i *disco.Info) { i.Identities[0].Type = "pc/" }, true, false},
		{"slash in a language", func(i *disco.Info) { i.Identities[0].Lang = "/" }, true, false},
		{"separator in a feature", func(i *disco.Info) { i.Features[0] += "<urn:x" }, true, false},
		{"separator in a form type", func(i *disco.Info) { i.Forms = []*form.Form{hidden("a<b")} }, true, false},
		{"separator in a field", func(i *disco.Info) { i.Forms = []*form.Form{hidden("a", form.Value("b<", "c"))} }, true, false},
		{"separator in a value", func(i *disco.Info) { i.Forms = []*form.Form{hidden("a", form.Value("b", "c<d"))} }, true, false},
		{"escaped separator", func(i *disco.Info) { i.Features[0] += "&lt;" }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := exodus()
			c.change(info)
			got, err := caps.Ver(caps.SHA1, info)
			if errors.Is(err, caps.ErrIll) != c.ill || err != nil && !c.ill {
				t.Fatalf("Ver = %s, %v; ill-formed is %t", got, err, c.ill)
			}
			if err == nil && (got == same) != c.same {
				t.Errorf("Ver = %s; without the change %s", got, same)
			}
			if err := (&caps.Caps{Hash: caps.SHA1, Node: "n", Ver: got}).Verify(info); errors.Is(err, caps.ErrIll) != c.ill {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestUnknownHash(t *testing.T) {
	for _, hash := range []string{"", "md5", "SHA-1", "sha-512"} {
		c := &caps.Caps{Hash: hash, Node: "n", Ver: "v"}
		if err := c.Verify(exodus()); !errors.Is(err, caps.ErrHash) {
			t.Errorf("hash %q: %v", hash, err)
		}
	}
}

// FuzzVer compares with the specification taken word for word.
func FuzzVer(f *testing.F) {
	f.Add((&disco.Info{
		Identities: []disco.Identity{{Category: "b", Type: "t", Lang: "en"}, {Category: "a", Type: "t", Name: "&<"}},
		Features:   []string{"y", "x"},
		Forms:      []*form.Form{form.New(form.Result, "z", form.Value("k", "2", "1")), form.New(form.Result, "a")},
	}).AppendXML(nil))
	f.Fuzz(func(t *testing.T, input []byte) {
		info, ok := xmpptest.RoundTrip(t, input, new(disco.Info)).(*disco.Info)
		if !ok {
			return
		}
		got, err := caps.Ver(caps.SHA1, info)
		if err != nil {
			return
		}
		if strings.Count(verString(info), "<") != parts(info) {
			t.Fatalf("a separator inside a part of %q was taken", verString(info))
		}
		sum := sha1.Sum([]byte(verString(info))) //nolint:gosec // as in the package
		if want := base64.StdEncoding.EncodeToString(sum[:]); got != want {
			t.Fatalf("Ver = %s; want %s", got, want)
		}
	})
}

func BenchmarkVer(b *testing.B) {
	info := exodus()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := caps.Ver(caps.SHA1, info); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzCaps(f *testing.F) {
	f.Add([]byte("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://x' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(caps.Caps)) })
}
