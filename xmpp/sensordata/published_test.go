// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// Where a field is published is said in one way alone: two names of one place would be two permissions.
func TestPublishedAt(t *testing.T) {
	for _, c := range []struct {
		node  sensordata.Node
		field string
		want  string // behind the namespace
	}{
		{sensordata.Node{}, "temperature", "#temperature"},
		{sensordata.Node{}, "a/b", "#a/b"},
		{sensordata.Node{ID: "meter"}, "energy", "/meter#energy"},
		{sensordata.Node{ID: "meter", Source: "bus 1"}, "energy", "/meter/bus%201#energy"},
		{sensordata.Node{ID: "meter", Cache: "x"}, "energy", "/meter//x#energy"},
		{sensordata.Node{ID: "a/b#c%", Source: "s"}, "x", "/a%2Fb%23c%25/s#x"},
	} {
		at := sensordata.PublishedAt(c.node, c.field)
		if at != senml.NS+c.want {
			t.Errorf("%v %s is published at %s", c.node, c.field, at)
		}
		if n, field, ok := sensordata.ParsePublishedAt(at); !ok || n != c.node || field != c.field {
			t.Errorf("%s is read as %v %s, %v", at, n, field, ok)
		}
		name := sensordata.RecordName(c.node, c.field)
		if n, field, ok := sensordata.ParseRecordName(name); c.field != "a/b" && (!ok || n != c.node || field != c.field) {
			t.Errorf("%s is read as %v %s, %v", name, n, field, ok)
		}
	}
	for _, at := range []string{
		"", "temperature", senml.NS, senml.NS + "#", senml.NS + "/meter", senml.NS + "/meter#", senml.NS + "/#x",
		senml.NS + "/meter/#x", senml.NS + "/met%65r#x", senml.NS + "/%zz#x", senml.NS + "/a/b/c/d#x", senml.NS + "x#y", senml.NS + ":meter#x",
	} {
		if n, field, ok := sensordata.ParsePublishedAt(at); ok {
			t.Errorf("%s is read as %v %s", at, n, field)
		}
	}
}
