// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Format is what a text has to look like; the zero Format is any text.
type Format uint8

// The formats. XEP-0325 §3.2
const (
	Date      Format = iota + 1 // 2006-01-02
	TimeOfDay                   // 15:04:05
	DateTime                    // 2006-01-02T15:04:05Z
	Duration                    // PT1M30S
	Color                       // 3399ff: red, green and blue, and two more digits for how opaque it is
)

// String is the format for people.
func (f Format) String() string {
	switch f {
	case Date:
		return "YYYY-MM-DD"
	case TimeOfDay:
		return "HH:MM:SS"
	case DateTime:
		return "YYYY-MM-DDTHH:MM:SSZ"
	case Duration:
		return "PT1M30S"
	case Color:
		return "RRGGBB"
	}
	return "TEXT"
}

// schema is the type of XML Schema that texts of the format have.
func (f Format) schema() xsd.Type {
	switch f {
	case Date:
		return xsd.TypeDate
	case TimeOfDay:
		return xsd.TypeTime
	case DateTime:
		return xsd.TypeDateTime
	case Duration:
		return xsd.TypeDuration
	}
	return xsd.TypeString
}

// fits tells why a text is not of the format.
func (f Format) fits(s string) error {
	_, err := f.schema().Clean(s)
	if f == Color && (len(s) != 6 && len(s) != 8 || strings.Trim(s, "0123456789abcdefABCDEF") != "") {
		err = errors.New("no color")
	}
	if err != nil {
		return fmt.Errorf("%q does not look like %s", s, f)
	}
	return nil
}
