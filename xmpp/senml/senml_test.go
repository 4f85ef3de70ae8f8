// SPDX-License-Identifier: Apache-2.0

package senml_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func num(t *testing.T, s string) senml.Number {
	t.Helper()
	n, err := senml.ParseNumber(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return n
}

func val(t *testing.T, s string) senml.Value { return senml.NumberValue(num(t, s)) }

const (
	second = senml.Time(time.Second)
	dated  = 1700000000 * second
)

// everything is a pack with all that a pack can say.
func everything(t *testing.T) senml.Pack {
	return senml.Pack{
		{Name: "a/current", Unit: "A", Value: val(t, "1.20"), Time: dated + second/4, Update: time.Minute},
		{Name: "a/current", Unit: "A", Value: val(t, "-0.4e-3"), Sum: num(t, "12.50"), Time: dated - 5*second},
		{Name: "a/total", Unit: "Wh", Sum: num(t, "12345678901234567890.125"), Time: senml.Now},
		{Name: "a/label", Value: senml.TextValue("a\\b \"c\" <d> 'e' & é \x00\t\r\n\u2028\ufffe"), Time: -1},
		{Name: "a/none", Value: senml.TextValue("")},
		{Name: "b", Value: senml.BoolValue(true), Time: 3*second + 7},
		{Name: "a/off", Value: senml.BoolValue(false)},
		{Name: "a/data", Value: senml.DataValue([]byte{0xff, 0xef, 0, 1})},
		{Name: "a/nodata", Value: senml.DataValue(nil)},
	}
}

func TestCodec(t *testing.T) {
	const mac = "urn:dev:mac:0024befffe804ff1:"
	at := dated + second/4
	kinds := senml.Pack{
		{Name: "lab/label", Value: senml.TextValue("say \"a\\b\"\nand \x00")},
		{Name: "lab/open", Value: senml.BoolValue(true)},
		{Name: "lab/tag", Value: senml.DataValue([]byte{0xff, 0xef, 0})},
		{Name: "lab/empty", Value: senml.TextValue("")},
		{Name: "lab/load", Unit: "%RH", Sum: senml.Int(3)},
	}
	single := senml.Pack{{Name: "temperature", Unit: "Cel", Value: val(t, "21.50"), Time: -3 * second}}
	all := everything(t)
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "rfc8428-7-folded", Lossy: true, Want: &senml.Pack{
			{Name: mac + "current", Unit: "A", Value: val(t, "1.20"), Time: at},
			{Name: mac + "current", Unit: "A", Value: val(t, "1.30"), Time: at + second},
			{Name: mac + "inrush", Unit: "A", Value: val(t, "-0.4e-3"), Sum: num(t, "12.50"), Time: at - 11*second/2, Update: time.Minute},
		}},
		{File: "rfc8428-7-kinds", Want: &kinds},
		{File: "rfc8428-7-single", Want: &single},
	})
	xmpptest.Exact(t, &all)
}

// All that a pack says comes back from JSON, alone and in a message.
func TestJSON(t *testing.T) {
	want := everything(t)
	if err := want.Check(); err != nil {
		t.Fatal(err)
	}
	got, err := senml.ParseJSON(want.AppendJSON(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	var p jsonmsg.Payload
	if err := xmpptest.Decode(string(want.Payload().AppendXML(nil)), &p); err != nil {
		t.Fatal(err)
	}
	if got, found, err := senml.FromPayload(&p); !found || err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("from a message: %+v, %v, %v", got, found, err)
	}
	p.Datatype = "urn:x"
	if got, found, err := senml.FromPayload(&p); found || got != nil || err != nil {
		t.Errorf("of another type: %+v, %v, %v", got, found, err)
	}
}

// How packs are written, to the byte.
func TestFold(t *testing.T) {
	v := val(t, "1")
	for name, c := range map[string]struct {
		pack senml.Pack
		want string
	}{
		"one":   {senml.Pack{{Name: "a/b", Unit: "Cel", Value: val(t, "21.50"), Time: dated}}, `[{"n":"a/b","u":"Cel","v":21.50,"t":1700000000}]`},
		"same":  {senml.Pack{{Name: "a/b", Unit: "V", Value: v, Time: -second}, {Name: "a/b", Unit: "V", Value: v, Time: -second}}, `[{"bn":"a/b","bt":-1,"bu":"V","v":1},{"v":1}]`},
		"dated": {senml.Pack{{Name: "a/b", Value: v, Time: dated}, {Name: "a/c", Value: v, Time: dated - second/2}}, `[{"bn":"a/","bt":1700000000,"n":"b","v":1},{"n":"c","v":1,"t":-0.5}]`},
		// A word is not cut, and one that is not dated would be by a base.
		"nothing shared": {senml.Pack{{Name: "left", Unit: "V", Value: v, Time: dated}, {Name: "lefty", Value: v}}, `[{"n":"left","u":"V","v":1,"t":1700000000},{"n":"lefty","v":1}]`},
		"base is a name": {senml.Pack{{Name: "a:", Value: v}, {Name: "a:b", Value: v}}, `[{"bn":"a:","v":1},{"n":"b","v":1}]`},
		"order":          {senml.Pack{{Name: "x", Value: senml.TextValue("<&>"), Sum: num(t, "2"), Time: 5 * second, Update: time.Second}}, `[{"n":"x","vs":"<&>","s":2,"t":5,"ut":1}]`},
	} {
		if got := string(c.pack.AppendJSON([]byte("x"))); got != "x"+c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
		if back, err := senml.ParseJSON([]byte(c.want)); err != nil || !reflect.DeepEqual(back, c.pack) {
			t.Errorf("%s: read %+v, %v", name, back, err)
		}
	}
}

// What senders leave to bases, and what they may write otherwise than we do.
func TestBases(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		want senml.Pack
	}{
		"until the next": {`[{"bn":"a","bu":"V","v":1},{"n":"b","v":2},{"bn":"c","u":"A","v":3},{"v":4},{"bu":"W","v":5},{"u":"","v":6}]`, senml.Pack{
			{Name: "a", Unit: "V", Value: val(t, "1")}, {Name: "ab", Unit: "V", Value: val(t, "2")}, {Name: "c", Unit: "A", Value: val(t, "3")},
			{Name: "c", Unit: "V", Value: val(t, "4")}, {Name: "c", Unit: "W", Value: val(t, "5")}, {Name: "c", Value: val(t, "6")}}},
		"values": {`[{"n":"a","bv":20.0,"bs":100,"v":1.25,"s":0.5},{"n":"b"},{"n":"c","vs":"x"},{"n":"d","bs":0,"bv":-1,"v":1}]`, senml.Pack{
			{Name: "a", Value: val(t, "21.25"), Sum: num(t, "100.5")}, {Name: "b", Value: val(t, "20.0"), Sum: num(t, "100")},
			{Name: "c", Value: senml.TextValue("x"), Sum: num(t, "100")}, {Name: "d", Value: val(t, "0"), Sum: num(t, "0")}}},
		"times": {`[{"n":"a","bt":1.7e9,"v":1},{"n":"b","t":-0.000000001,"v":1},{"n":"c","bt":-10,"t":3,"v":1},{"n":"d","bt":0,"v":1}]`, senml.Pack{
			{Name: "a", Time: dated, Value: val(t, "1")}, {Name: "b", Time: dated - 1, Value: val(t, "1")},
			{Name: "c", Time: -7 * second, Value: val(t, "1")}, {Name: "d", Value: val(t, "1")}}},
		"bases alone": {`[{"bn":"a:","bt":-1,"bver":10},{"n":"b","vb":true}]`, senml.Pack{{Name: "a:b", Time: -second, Value: senml.BoolValue(true)}}},
		"a draft":     {`[{"bver":5,"n":"a","v":1},{"bver":5,"n":"b","v":1}]`, senml.Pack{{Name: "a", Value: val(t, "1")}, {Name: "b", Value: val(t, "1")}}},
		"unknown":     {`[{"n":"a","V":2,"x":{"v":[3,{}]},"v":1,"l":null}]`, senml.Pack{{Name: "a", Value: val(t, "1")}}},
		"exponents":   {`[{"n":"a","v":1.50E+02},{"n":"b","v":-0.0}]`, senml.Pack{{Name: "a", Value: val(t, "1.50e2")}, {Name: "b", Value: val(t, "-0.0")}}},
		"padding":     {`[{"n":"a","vd":"AA=="}]`, senml.Pack{{Name: "a", Value: senml.DataValue([]byte{0})}}},
	} {
		if got, err := senml.ParseJSON([]byte(c.json)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, c.want)
		}
	}
}

// XML has other forms of numbers and truths, and some makers write texts without escapes.
func TestLooseXML(t *testing.T) {
	for attrs, want := range map[string]senml.Value{
		"v=' +.50 '":        val(t, "0.50"),
		"v='007.'":          val(t, "7"),
		"vb=' 1 '":          senml.BoolValue(true),
		"vb='0'":            senml.BoolValue(false),
		`vs='C:\go"'`:       senml.TextValue(`C:\go"`),
		`vs='ends with \'`:  senml.TextValue(`ends with \`),
		`vs='a\tb&#9;"c"'`:  senml.TextValue("a\tb\t\"c\""),
		`vs='x' v_x='?'`:    senml.TextValue("x"),
		`vs='x' xml:_='?'`:  senml.TextValue("x"),
		`v='1' bver=' 10 '`: val(t, "1"),
	} {
		var p senml.Pack
		err := xmpptest.Decode("<sensml xmlns='urn:ietf:params:xml:ns:senml'><senml n='a' "+attrs+"/></sensml>", &p)
		if err != nil || len(p) != 1 || p[0].Value != want {
			t.Errorf("%s: %+v, %v", attrs, p, err)
		}
	}
}

// What no pack may say is refused in each form.
func TestRefuse(t *testing.T) {
	long := strings.Repeat("a", senml.MaxName)
	for name, c := range map[string]struct {
		json, attrs string // "": not in that form
		want        stanza.Condition
	}{
		"no value":         {`{"n":"a"}`, "n='a'", stanza.BadRequest},
		"no name":          {`{"v":1}`, "v='1'", stanza.BadRequest},
		"first character":  {`{"n":"_a","v":1}`, "n='_a' v='1'", stanza.BadRequest},
		"character":        {`{"n":"aé","v":1}`, "n='aé' v='1'", stanza.BadRequest},
		"two values":       {`{"n":"a","v":1,"vb":true}`, "n='a' v='1' vb='true'", stanza.BadRequest},
		"not a number":     {`{"n":"a","v":"1"}`, "n='a' v='one'", stanza.BadRequest},
		"infinite":         {`{"n":"a","v":1e309}`, "n='a' v='INF'", stanza.BadRequest},
		"empty number":     {`{"n":"a","v":null}`, "n='a' v=''", stanza.BadRequest},
		"digits":           {`{"n":"a","v":` + strings.Repeat("1", senml.MaxNumber+1) + `}`, "n='a' v='" + strings.Repeat("1", senml.MaxNumber+1) + "'", stanza.BadRequest},
		"exponent":         {`{"n":"a","v":1e-401}`, "n='a' v='1e-999999999'", stanza.BadRequest},
		"sum of bases":     {`{"n":"a","bv":1.7e308,"v":1.7e308}`, "n='a' bv='1.7e308' v='1.7e308'", stanza.BadRequest},
		"base value":       {`{"n":"a","bv":"","v":1}`, "n='a' bv='?' v='1'", stanza.BadRequest},
		"base sum":         {`{"n":"a","bs":[],"v":1}`, "n='a' bs='?' v='1'", stanza.BadRequest},
		"sum":              {`{"n":"a","s":"1"}`, "n='a' s='NaN'", stanza.BadRequest},
		"truth":            {`{"n":"a","vb":1}`, "n='a' vb='on'", stanza.BadRequest},
		"text":             {`{"n":"a","vs":1}`, "", stanza.BadRequest},
		"data":             {`{"n":"a","vd":"+/"}`, "n='a' vd='+/'", stanza.BadRequest},
		"base time":        {`{"n":"a","bt":1e300,"v":1}`, "n='a' bt='1e300' v='1'", stanza.BadRequest},
		"time":             {`{"n":"a","t":1e10,"v":1}`, "n='a' t='-1e10' v='1'", stanza.BadRequest},
		"times together":   {`{"n":"a","bt":9e9,"t":9e9,"v":1}`, "n='a' bt='-9e9' t='-9e9' v='1'", stanza.BadRequest},
		"update time":      {`{"n":"a","ut":-1,"v":1}`, "n='a' ut='-1' v='1'", stanza.BadRequest},
		"update time's":    {`{"n":"a","ut":true,"v":1}`, "n='a' ut='?' v='1'", stanza.BadRequest},
		"version":          {`{"n":"a","bver":11,"v":1}`, "n='a' bver='11' v='1'", stanza.NotAcceptable},
		"no version":       {`{"n":"a","bver":0,"v":1}`, "n='a' bver='1.5' v='1'", stanza.BadRequest},
		"bad version":      {`{"n":"a","bver":"10","v":1}`, "n='a' bver='x' v='1'", stanza.BadRequest},
		"must understand":  {`{"n":"a","v":1,"x_":null}`, "n='a' v='1' x_=''", stanza.BadRequest},
		"twice":            {`{"n":"a","v":1,"v":1}`, "", stanza.BadRequest},
		"long name":        {`{"bn":"` + long + `","n":"b","v":1}`, "bn='" + long + "' n='b' v='1'", stanza.PolicyViolation},
		"long unit":        {`{"n":"a","u":"` + long + `","v":1}`, "n='a' u='" + long + "' v='1'", stanza.PolicyViolation},
		"unit":             {`{"n":"a","u":"V\u0000","v":1}`, "n='a' u='&#9;V' v='1'", stanza.BadRequest},
		"bases alone":      {`{"bn":"a"}`, "bn='a'", stanza.BadRequest},
		"two versions":     {`{"n":"a","v":1},{"bver":5,"v":1}`, "", stanza.BadRequest},
		"many records":     {strings.Repeat(`{"n":"a","v":1},`, senml.MaxRecords) + `{"n":"a","v":1}`, "", stanza.PolicyViolation},
		"many bases":       {strings.Repeat(`{"bn":"a"},`, senml.MaxRecords) + `{"n":"a","v":1}`, "", stanza.PolicyViolation},
		"nothing":          {` `, "", stanza.BadRequest},
		"no object":        {`1`, "", stanza.BadRequest},
		"not the end":      {`{"n":"a","v":1}]]`, "", stanza.BadRequest},
		"not UTF-8":        {"{\"n\":\"a\",\"vs\":\"\xff\"}", "", stanza.BadRequest},
		"unknown is wrong": {`{"n":"a","v":1,"x":{]}}`, "", stanza.BadRequest},
		"no colon":         {`{"n"}`, "", stanza.BadRequest},
		"object's end":     {`{"n":"a","v":1]`, "", stanza.BadRequest},
		"key":              {`{1:2}`, "", stanza.BadRequest},
	} {
		got, err := senml.ParseJSON([]byte("[" + c.json + "]"))
		if got != nil {
			t.Errorf("%s: something of it is taken", name)
		}
		t.Run(name, func(t *testing.T) { xmpptest.Condition(t, err, c.want) })
		if c.attrs != "" {
			xml := "<sensml xmlns='urn:ietf:params:xml:ns:senml'><senml " + c.attrs + "/></sensml>"
			xmpptest.Refuse(t, []xmpptest.Refusal{{Name: name, XML: xml, Into: new(senml.Pack), Condition: c.want}})
		}
	}
	many := strings.Repeat("<senml n='a' v='1'/>", senml.MaxRecords)
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "empty", XML: "<sensml xmlns='urn:ietf:params:xml:ns:senml'/>", Into: new(senml.Pack), Condition: stanza.BadRequest},
		{Name: "many records", XML: "<sensml xmlns='urn:ietf:params:xml:ns:senml'>" + many + "<senml n='a' v='1'/></sensml>", Into: new(senml.Pack), Condition: stanza.PolicyViolation},
	})
	for _, whole := range []string{"", "{}", "null", "[", `[{"n":"a","v":1}`, `[{"n":"a","v":1}] 2`, `[{"n":"a"`, `[{"n":`} {
		_, err := senml.ParseJSON([]byte(whole))
		xmpptest.Condition(t, err, stanza.BadRequest)
	}
}

// A program's own packs are checked before they are written.
func TestCheck(t *testing.T) {
	good := senml.Record{Name: "a", Value: senml.BoolValue(true)}
	for name, c := range map[string]struct {
		change func(*senml.Record)
		want   stanza.Condition
	}{
		"good":      {func(*senml.Record) {}, ""},
		"sum alone": {func(r *senml.Record) { r.Value, r.Sum = senml.Value{}, senml.Int(0) }, ""},
		"no value":  {func(r *senml.Record) { r.Value = senml.Value{} }, stanza.BadRequest},
		"no number": {func(r *senml.Record) { r.Value = senml.NumberValue(senml.Number{}) }, stanza.BadRequest},
		"name":      {func(r *senml.Record) { r.Name = "living room" }, stanza.BadRequest},
		"no name":   {func(r *senml.Record) { r.Name = "" }, stanza.BadRequest},
		"long name": {func(r *senml.Record) { r.Name = strings.Repeat("a", senml.MaxName+1) }, stanza.PolicyViolation},
		"long unit": {func(r *senml.Record) { r.Unit = strings.Repeat("a", senml.MaxUnit+1) }, stanza.PolicyViolation},
		"unit":      {func(r *senml.Record) { r.Unit = "\xff" }, stanza.BadRequest},
		"signs":     {func(r *senml.Record) { r.Unit = "m² of °" }, ""},
		"update":    {func(r *senml.Record) { r.Update = -1 }, stanza.BadRequest},
	} {
		r := good
		c.change(&r)
		t.Run(name, func(t *testing.T) { xmpptest.Condition(t, senml.Pack{good, r}.Check(), c.want) })
	}
	xmpptest.Condition(t, senml.Pack{}.Check(), stanza.BadRequest)
	xmpptest.Condition(t, make(senml.Pack, senml.MaxRecords+1).Check(), stanza.PolicyViolation)
}

func TestResolve(t *testing.T) {
	v := senml.BoolValue(true)
	now := time.Unix(1700000000, 0)
	p := senml.Pack{{Name: "now", Value: v}, {Name: "old", Value: v, Time: -2 * second}, {Name: "dated", Value: v, Time: dated - second}, {Name: "too", Value: v}}
	got, err := p.Resolve(now)
	want := senml.Pack{{Name: "old", Value: v, Time: dated - 2*second}, {Name: "dated", Value: v, Time: dated - second}, {Name: "now", Value: v, Time: dated}, {Name: "too", Value: v, Time: dated}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if p[0].Time != senml.Now {
		t.Error("the pack itself was changed")
	}
	if got, err := p.Resolve(time.Unix(0, 0)); err == nil {
		t.Errorf("by a clock that was never set: %+v", got)
	}
}

func FuzzXML(f *testing.F) {
	f.Add([]byte("<sensml xmlns='urn:ietf:params:xml:ns:senml'><senml bn='a:' bt='1.7e9' bu='V' bv='1' bs='2' bver='10' n='b' v='1.50' s='1' t='-0.1' ut='3'/><senml n='c' vs='\\u0000\\x'/></sensml>"))
	f.Add([]byte("<sensml xmlns='urn:ietf:params:xml:ns:senml'><senml n='a' vd='_-8A='/><senml n='a' vb='1' x_y=''/></sensml>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		if p, ok := xmpptest.RoundTrip(t, input, new(senml.Pack)).(*senml.Pack); ok {
			same(t, *p)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`[{"bn":"a:","bt":1.7e9,"bu":"V","bv":1e-7,"bs":2,"bver":10,"n":"b","v":1.50,"s":1,"t":-0.1,"ut":3},{"vs":"\u0000\\x"}]`))
	f.Add([]byte(`[{"n":"a","vd":"_-8A"},{"n":"a","bv":1e300,"v":1e-300},{"n":"b","vb":false,"x":[{}]}]`))
	f.Fuzz(func(t *testing.T, input []byte) {
		if p, err := senml.ParseJSON(input); err == nil {
			same(t, p)
			xmpptest.Exact(t, &p)
		}
	})
}

// same checks that a pack that was read is one, and comes back from JSON.
func same(t *testing.T, p senml.Pack) {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Fatalf("%+v: %v", p, err)
	}
	written := p.AppendJSON(nil)
	if back, err := senml.ParseJSON(written); err != nil || !reflect.DeepEqual(back, p) {
		t.Fatalf("%s\nread %+v, %v\nwant %+v", written, back, err, p)
	}
}
