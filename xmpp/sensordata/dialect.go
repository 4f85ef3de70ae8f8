// SPDX-License-Identifier: Apache-2.0

package sensordata

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// dialect is the words of the grammar: another generation of it, with a namespace and shorter names, is another table.
type dialect struct {
	space string

	request, accepted, started, fields, done, failure, cancel, cancelled, rejected string
	node, field, timestamp, err                                                    string // elements within

	seq string
	// seqText says that a sequence number is any text, and no xs:int.
	seqText bool
	queued  string
	// final ends a readout in fields and failures by true; if goesOn, by being absent, and true says that there is more.
	final  string
	goesOn bool

	all, historical, from, to, when      string
	serviceToken, deviceToken, userToken string
	nodeID, sourceID, cacheType          string
	name, value, at, unit, dataType      string // at is of a timestamp, errorAt of an error
	errorAt                              string
	module, stringIDs, writable          string
	types                                [typesEnd]string
	categories                           [14]string // in the order of the bits
	qualities                            [14]string
	otherTypes                           map[string]Type // names of drafts, which are read
	otherCategories                      map[string]Category
}

// xep is XEP-0323 §10.
var xep = dialect{
	space:   NS,
	request: "req", accepted: "accepted", started: "started", fields: "fields", done: "done", failure: "failure",
	cancel: "cancel", cancelled: "cancelled", rejected: "rejected",
	node: "node", field: "field", timestamp: "timestamp", err: "error",
	seq: "seqnr", queued: "queued", final: "done",
	all: "all", historical: "historical", from: "from", to: "to", when: "when",
	serviceToken: "serviceToken", deviceToken: "deviceToken", userToken: "userToken",
	nodeID: "nodeId", sourceID: "sourceId", cacheType: "cacheType",
	name: "name", value: "value", at: "value", errorAt: "timestamp", unit: "unit", dataType: "dataType",
	module: "module", stringIDs: "stringIds", writable: "writable",
	types: [typesEnd]string{
		TypeBoolean: "boolean", TypeDate: "date", TypeDateTime: "dateTime", TypeDuration: "duration", TypeEnum: "enum",
		TypeInt: "int", TypeLong: "long", TypeNumeric: "numeric", TypeString: "string", TypeTime: "time",
	},
	categories: [14]string{
		"momentary", "peak", "status", "computed", "identity", "historicalSecond", "historicalMinute", "historicalHour",
		"historicalDay", "historicalWeek", "historicalMonth", "historicalQuarter", "historicalYear", "historicalOther",
	},
	qualities: [14]string{
		"missing", "inProgress", "automaticEstimate", "manualEstimate", "manualReadout", "automaticReadout", "timeOffset",
		"warning", "error", "signed", "invoiced", "endOfSeries", "powerFailure", "invoiceConfirmed",
	},
	// COMPAT(slixmpp, 2013): it speaks version 0.2.
	otherTypes: map[string]Type{"timeSpan": TypeDuration},
	// COMPAT(XEP-0323, 2013): its own example 11 has another word.
	otherCategories: map[string]Category{"identification": Identity},
}

func (d *dialect) element(local string) xmlstream.Name {
	return xmlstream.Name{Space: d.space, Local: local}
}

// typeOf finds a type by the name of its element, 0 for none.
func (d *dialect) typeOf(local string) Type {
	for t := Type(1); t < typesEnd; t++ {
		if d.types[t] == local {
			return t
		}
	}
	return d.otherTypes[local]
}

// categoryOf finds a category by the name of its attribute, 0 for none.
func (d *dialect) categoryOf(local string) Category {
	for i, name := range d.categories {
		if name == local {
			return 1 << i
		}
	}
	return d.otherCategories[local]
}

// qualityOf finds a quality by the name of its attribute, 0 for none.
func (d *dialect) qualityOf(local string) Quality {
	for i, name := range d.qualities {
		if name == local {
			return 1 << i
		}
	}
	return 0
}
