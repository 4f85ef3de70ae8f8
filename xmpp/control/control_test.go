// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

var (
	hall  = control.Node{ID: "Hall"}
	attic = control.Node{ID: "Attic", Source: "bus", Cache: "lamps"}
)

// everyType is a command of all types.
func everyType() *control.Set {
	return &control.Set{Lang: "sv", Tokens: control.Tokens{Service: "s1", Device: "d1", User: "u1"}, Nodes: []control.Node{hall, attic},
		Parameters: []control.Parameter{
			{Name: "Main", Type: control.TypeBoolean, Value: "false"},
			{Name: "Light", Type: control.TypeColor, Value: "3399ffC0"},
			{Name: "From", Type: control.TypeDate, Value: "2024-05-01"},
			{Name: "At", Type: control.TypeDateTime, Value: "2024-05-01T20:15:00"},
			{Name: "Angle", Type: control.TypeDouble, Value: "-8.190"},
			{Name: "Fade", Type: control.TypeDuration, Value: "PT1M30S"},
			{Name: "Percent", Type: control.TypeInt, Value: "75"},
			{Name: "Ticks", Type: control.TypeLong, Value: "500000000000001"},
			{Name: "Row", Type: control.TypeString, Value: "21 °C & more"},
			{Name: "Off", Type: control.TypeTime, Value: "23:00:00"},
		}}
}

func submission() *control.Set {
	return &control.Set{Lang: "en", Form: &form.Form{Type: form.Submit, Fields: []form.Field{
		{Var: control.VarSession, Type: form.Hidden, Values: []string{"s-17"}},
		{Var: "Fade", Type: form.TextSingle, Values: []string{"PT5S"}},
		{Var: "Percent", Type: form.TextSingle, Values: []string{"10"}},
	}}}
}

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0325-3.1-set", Want: &control.Set{Parameters: []control.Parameter{control.Boolean("Main", true)}}},
		{File: "xep0325-3.2-types", Want: everyType()},
		{File: "xep0325-3.3-submission", Want: submission()},
		{File: "xep0325-3.1-response", Want: &control.SetResponse{}},
		{File: "xep0324-3.3-response", Want: &control.SetResponse{Nodes: []control.Node{hall}, Names: []string{"Main", "Light"}}},
		{File: "xep0325-3.3-getform", Want: &control.GetForm{Lang: "en"}},
		{File: "xep0325-3.4-getform", Want: &control.GetForm{Tokens: control.Tokens{User: "u1"}, Nodes: []control.Node{hall, {ID: "Attic", Source: "bus"}}}},
		{File: "xep0325-0.2-refusal", Want: &control.Refusal{Code: control.CodeNotFound, Nodes: []control.Node{hall}, Names: []string{"Percent"},
			Error: control.ParamError{Name: "Percent", Text: "Not here."}}},
		{File: "xep0325-3.1-error", Want: &control.ParamErrors{{Name: "Percent", Text: "Not above 100."}}},
	})
}

func TestRefuse(t *testing.T) {
	const ns = " xmlns='urn:xmpp:iot:control'"
	set := func(inner string) string { return "<set" + ns + ">" + inner + "</set>" }
	long := strings.Repeat("x", control.MaxLength+1)
	type refusal = xmpptest.Refusal
	refusals := []refusal{
		{Name: "node without an ID", XML: set("<node/>"), Into: &control.Set{}},
		{Name: "parameter without a name", XML: set("<int value='1'/>"), Into: &control.Set{}},
		{Name: "parameter without a value", XML: set("<string name='a'/>"), Into: &control.Set{}},
		{Name: "two forms", XML: set("<x xmlns='jabber:x:data' type='submit'/><x xmlns='jabber:x:data' type='submit'/>"), Into: &control.Set{}},
		{Name: "a form to fill in", XML: set("<x xmlns='jabber:x:data' type='form'/>"), Into: &control.Set{}},
		{Name: "a form of no type", XML: set("<x xmlns='jabber:x:data'/>"), Into: &control.Set{}},
		{Name: "form of a node without an ID", XML: "<getForm" + ns + "><node nodeId=''/></getForm>", Into: &control.GetForm{}},
		{Name: "response of no name", XML: "<setResponse" + ns + "><parameter/></setResponse>", Into: &control.SetResponse{}},
		{Name: "refusal without a code", XML: "<setResponse" + ns + "/>", Into: &control.Refusal{}},
	}
	for kind, values := range map[string][]string{
		"boolean": {"", "on"}, "color": {"", "fff", "#3399ff", "3399fg", "3399ff0", "+399ff", "3399ff000"}, "date": {"today"}, "dateTime": {"1714543200"},
		"double": {"", "1,5", "0x1p1"}, "duration": {"90"}, "int": {"1.0", "2147483648"}, "long": {"1e3"}, "time": {"6:00"},
	} {
		for _, v := range values {
			refusals = append(refusals, refusal{Name: kind + " " + v, XML: set("<" + kind + " name='a' value='" + v + "'/>"), Into: &control.Set{}})
		}
	}
	for i := range refusals {
		refusals[i].Condition = stanza.BadRequest
	}
	fields := strings.Repeat("<field var='a'><value>1</value></field>", control.MaxParameters+1)
	for _, r := range []refusal{
		{Name: "parameters", XML: set(strings.Repeat("<int name='a' value='1'/>", control.MaxParameters+1)), Into: &control.Set{}},
		{Name: "fields", XML: set("<x xmlns='jabber:x:data' type='submit'>" + fields + "</x>"), Into: &control.Set{}},
		{Name: "nodes", XML: set(strings.Repeat("<node nodeId='a'/>", control.MaxNodes+1)), Into: &control.Set{}},
		{Name: "nodes of a form", XML: "<getForm" + ns + ">" + strings.Repeat("<node nodeId='a'/>", control.MaxNodes+1) + "</getForm>", Into: &control.GetForm{}},
		{Name: "names", XML: "<setResponse" + ns + ">" + strings.Repeat("<parameter name='a'/>", control.MaxParameters+1) + "</setResponse>", Into: &control.SetResponse{}},
		{Name: "long name", XML: set("<int name='" + long + "' value='1'/>"), Into: &control.Set{}},
		{Name: "long ID", XML: set("<node nodeId='" + long + "'/>"), Into: &control.Set{}},
		{Name: "long token", XML: "<getForm" + ns + " deviceToken='" + long + "'/>", Into: &control.GetForm{}},
	} {
		r.Condition = stanza.PolicyViolation
		refusals = append(refusals, r)
	}
	refusals = append(refusals, refusal{Name: "a type of another generation", XML: set("<boolean name='a' value='true'/><e name='b' value='x'/>"),
		Into: &control.Set{}, Condition: stanza.FeatureNotImplemented})
	xmpptest.Refuse(t, refusals)
}

// errorsOf sends an error and reads what is in it.
func errorsOf(t *testing.T, e *stanza.Error, more ...stanza.Payload) (*stanza.Error, []control.ParamError) {
	t.Helper()
	s := stanza.New(stanza.IQ, stanza.TypeError, jid.MustParse("owner@example.org/r"), append([]stanza.Payload{e}, more...)...)
	s.ID = []byte("1")
	parsed, err := stanza.Parse(s.Append(nil, stanza.NSClient))
	if err != nil {
		t.Fatal(err)
	}
	var got stanza.Error
	if found, err := parsed.Decode(&got); !found || err != nil {
		t.Fatalf("%t %v", found, err)
	}
	return &got, control.ErrorsOf(parsed)
}

// Which values are wrong is told by the error, for each of them, and with the types that §5.1 gives.
func TestErrors(t *testing.T) {
	var s control.Set
	err := xmpptest.Decode("<set xmlns='urn:xmpp:iot:control'><int name='a' value='x'/><int name='b' value='1'/><time name='c' value='x'/></set>", &s)
	e, ok := err.(*stanza.Error)
	if !ok {
		t.Fatalf("%v", err)
	}
	got, errs := errorsOf(t, e)
	if got.Condition != stanza.BadRequest || got.Type != stanza.Modify || len(errs) != 2 || errs[0].Name != "a" || errs[1].Name != "c" {
		t.Errorf("%+v %+v", got, errs)
	}
	for c, want := range map[stanza.Condition]struct {
		t    stanza.ErrorType
		code string
	}{
		stanza.Forbidden:             {stanza.Cancel, control.CodeInsufficientPrivileges},
		stanza.ItemNotFound:          {stanza.Cancel, control.CodeNotFound},
		stanza.BadRequest:            {stanza.Modify, control.CodeFormError},
		stanza.FeatureNotImplemented: {stanza.Cancel, control.CodeNotImplemented},
		stanza.Conflict:              {stanza.Wait, control.CodeLocked},
		stanza.InternalServerError:   {stanza.Cancel, control.CodeOtherError},
	} {
		e := control.Rejected(c, "why")
		got, errs := errorsOf(t, e)
		if got.Condition != c || got.Type != want.t || got.Text != "why" || errs != nil {
			t.Errorf("%s: %+v %+v", c, got, errs)
		}
		// What programs of old look for stands beside the error, and hides nothing of it.
		old := control.RefusalOf(e)
		if _, errs := errorsOf(t, e, old); old.Code != want.code || errs != nil {
			t.Errorf("%s: %+v %+v", c, old, errs)
		}
	}
	old := control.RefusalOf(control.Rejected(stanza.BadRequest, "", control.ParamError{Name: "a", Text: "no"}, control.ParamError{Name: "b", Text: "no"}))
	if !reflect.DeepEqual(old, &control.Refusal{Code: control.CodeFormError, Names: []string{"a", "b"}}) {
		t.Errorf("%+v", old)
	}
	none := stanza.New(stanza.IQ, stanza.Result, jid.MustParse("owner@example.org/r"))
	if errs := control.ErrorsOf(none); errs != nil {
		t.Errorf("of no error: %+v", errs)
	}
}

func TestNames(t *testing.T) {
	s := submission()
	s.Parameters = []control.Parameter{control.Int("Percent", 5), control.Boolean("Main", true), control.Boolean("Main", false)}
	s.Form.Fields = append(s.Form.Fields, form.Field{Type: form.Fixed, Values: []string{"x"}}, form.Field{Var: form.VarFormType, Values: []string{"x"}},
		form.Field{Var: "h", Type: form.Hidden, Values: []string{"x"}}, form.Field{Var: "fixed", Type: form.Fixed, Values: []string{"x"}},
		form.Field{Var: "empty"})
	// What is called hidden or fixed counts: a thing may not look at that.
	if got := s.Names(); !slices.Equal(got, []string{"Percent", "Main", "Fade", "h", "fixed", "empty"}) {
		t.Errorf("%q", got)
	}
	if got := new(control.Set).Names(); got != nil {
		t.Errorf("of nothing: %q", got)
	}
}

// Nobody sets more than he may, in whatever way he says it.
func TestReduce(t *testing.T) {
	type nodes = []control.Node
	type names = []string
	for _, c := range []struct {
		what  string
		nodes nodes
		limit control.Limit
		names string // that are left, typed and by form alike; "" is nothing
		left  nodes
		whole bool
	}{
		{"no limit", nodes{hall}, control.Limit{}, "Percent Fade", nodes{hall}, true},
		{"all names", nil, control.Limit{Names: names{"Fade", "Percent", "Main"}}, "Percent Fade", nil, true},
		{"a name", nil, control.Limit{Names: names{"Fade"}}, "Fade", nil, false},
		{"another name", nil, control.Limit{Names: names{"Main", "xdd session"}}, "", nil, false},
		{"no names", nil, control.Limit{Names: names{}}, "", nil, false},
		{"nodes", nodes{hall, attic}, control.Limit{Nodes: nodes{attic}}, "Percent Fade", nodes{attic}, false},
		{"all nodes", nodes{hall, attic}, control.Limit{Nodes: nodes{attic, hall}}, "Percent Fade", nodes{hall, attic}, true},
		{"another node", nodes{hall}, control.Limit{Nodes: nodes{attic}}, "", nil, false},
		{"the thing, by who may nodes", nil, control.Limit{Nodes: nodes{hall}}, "", nil, false},
		{"the thing", nil, control.Limit{Nodes: nodes{hall, {}}}, "Percent Fade", nil, true},
		{"a node, by who may the thing", nodes{hall}, control.Limit{Nodes: nodes{{}}}, "", nil, false},
		{"a node left open", nodes{{ID: "Attic"}}, control.Limit{Nodes: nodes{attic}}, "Percent Fade", nodes{attic}, false},
		{"no nodes", nodes{hall}, control.Limit{Nodes: nodes{}}, "", nil, false},
		{"a name of a node", nodes{hall, attic}, control.Limit{Nodes: nodes{hall}, Names: names{"Percent"}}, "Percent", nodes{hall}, false},
	} {
		typed := control.Set{Nodes: c.nodes, Parameters: []control.Parameter{control.Int("Percent", 5), control.String("Fade", "x")}}
		byForm := control.Set{Nodes: c.nodes, Form: form.New(form.Submit, "", form.Value(control.VarSession, "s"), form.Value("Percent", "5"),
			form.Field{Var: "Fade", Type: form.Hidden, Values: []string{"x"}})}
		byForm.Form.Items = [][]form.Field{{form.Value("Door", "open")}}
		for way, s := range map[string]*control.Set{"typed": &typed, "form": &byForm} {
			before := string(s.AppendXML(nil))
			got, whole, ok := s.Reduce(c.limit)
			if ok != (c.names != "") || whole != c.whole {
				t.Errorf("%s, %s: %t %t", c.what, way, whole, ok)
			}
			if ok && (strings.Join(got.Names(), " ") != c.names || !slices.Equal(got.Nodes, c.left)) {
				t.Errorf("%s, %s: %q of %+v", c.what, way, got.Names(), got.Nodes)
			}
			if ok && strings.Contains(string(got.AppendXML(nil)), "Door") {
				t.Errorf("%s, %s: %s is left", c.what, way, got.AppendXML(nil))
			}
			if ok && way == "form" && got.Form.Get(control.VarSession) != "s" {
				t.Errorf("%s: the session is lost", c.what)
			}
			if string(s.AppendXML(nil)) != before {
				t.Errorf("%s, %s: the command has changed", c.what, way)
			}
			if ok {
				r := s.Response(got)
				if empty := len(r.Nodes) == 0 && len(r.Names) == 0; empty != c.whole {
					t.Errorf("%s, %s: answered by %+v", c.what, way, r)
				}
			}
		}
	}
	limit := control.Limit{Nodes: nodes{hall}, Names: names{"Main"}}
	if !limit.Allows(hall, "Main") || limit.Allows(hall, "Percent") || limit.Allows(attic, "Main") || limit.Allows(control.Node{}, "Main") {
		t.Error("a limit is not what it says")
	}
	if all := (control.Limit{}); !all.Allows(attic, "x") {
		t.Error("no limit is one")
	}
}

func TestColor(t *testing.T) {
	for in, want := range map[string]control.RGBA{"3399FF": {0x33, 0x99, 0xff, 255}, "3399ffc0": {0x33, 0x99, 0xff, 0xc0}, "00000000": {}} {
		if got, err := control.ParseColor(in); err != nil || got != want || !strings.EqualFold(got.String(), in) {
			t.Errorf("%s: %+v %s %v", in, got, got, err)
		}
	}
	for _, in := range []string{"", "33", "+399FF", "-399FF", "3399FG", "3399FF0", "3399FFC0C0", "0x99FF"} {
		if got, err := control.ParseColor(in); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add(everyType().AppendXML(nil))
	f.Add(submission().AppendXML(nil))
	f.Fuzz(func(t *testing.T, input []byte) {
		s, ok := xmpptest.RoundTrip(t, input, new(control.Set)).(*control.Set)
		if !ok {
			return
		}
		if got, _, ok := s.Reduce(control.Limit{Names: []string{"Main", "Fade"}, Nodes: []control.Node{{ID: "Hall"}}}); ok {
			for _, name := range got.Names() {
				if name != "Main" && name != "Fade" {
					t.Errorf("%q is left", name)
				}
			}
			if fmt.Sprint(got.Nodes) == fmt.Sprint([]control.Node(nil)) {
				t.Error("the thing itself is left")
			}
		}
		_, _ = s.Resolve(lamp())
	})
}

func FuzzOthers(f *testing.F) {
	f.Add([]byte("<setResponse xmlns='urn:xmpp:iot:control'><node nodeId='a'/><parameter name='b'/></setResponse>"))
	f.Add([]byte("<getForm xmlns='urn:xmpp:iot:control' xml:lang='en' userToken='u'><node nodeId='a'/></getForm>"))
	f.Add([]byte("<paramError xmlns='urn:xmpp:iot:control' var='a'>b</paramError>"))
	f.Add([]byte("<setResponse xmlns='urn:xmpp:iot:control' responseCode='Locked'><error var='b'>c</error></setResponse>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(control.SetResponse))
		xmpptest.RoundTrip(t, input, new(control.Refusal))
		xmpptest.RoundTrip(t, input, new(control.GetForm))
		xmpptest.RoundTrip(t, input, new(control.ParamErrors))
	})
}

// What Smack 4.4 calls a boolean is one, too.
func TestBool(t *testing.T) {
	var s control.Set
	if err := xmpptest.Decode("<set xmlns='urn:xmpp:iot:control'><bool name='lamp' value='true'/></set>", &s); err != nil {
		t.Fatal(err)
	}
	if want := (control.Parameter{Name: "lamp", Type: control.TypeBoolean, Value: "true"}); len(s.Parameters) != 1 || s.Parameters[0] != want {
		t.Errorf("%v", s.Parameters)
	}
}
