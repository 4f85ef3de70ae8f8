// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

var errBase64 = errors.New("stream: bad base64")

// decodeSASL decodes the character data of a SASL element: nil for none, empty for
// `=`. Nothing but base64 is allowed, line breaks included. RFC 6120 §6.4.2, §13.9.1.
func decodeSASL(text string) ([]byte, error) {
	switch {
	case text == "":
		return nil, nil
	case text == "=":
		return []byte{}, nil
	case strings.ContainsAny(text, "\r\n"): // which the decoder would skip
		return nil, errBase64
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errBase64
	}
	return data, nil
}

// appendSASL appends a SASL element with data: none for nil, `=` for empty data.
func appendSASL(dst []byte, local, mechanism string, data []byte) []byte {
	dst = xmlstream.AppendStart(dst, local, NSSASL)
	dst = xmlstream.AppendAttr(dst, "mechanism", mechanism)
	switch {
	case data == nil:
		return append(dst, "/>"...)
	case len(data) == 0:
		dst = append(dst, ">="...)
	default:
		dst = append(dst, '>')
		dst = base64.StdEncoding.AppendEncode(dst, data)
	}
	return xmlstream.AppendEnd(dst, local)
}
