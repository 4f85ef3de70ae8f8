// SPDX-License-Identifier: Apache-2.0

package xmlstream

// AppendEscaped appends s as character data or as an attribute value in either quotes.
func AppendEscaped[T string | []byte](dst []byte, s T) []byte { panic("unwritten") }

// AppendAttr appends ` name='value'`, and nothing when value is "".
func AppendAttr(dst []byte, name, value string) []byte { panic("unwritten") }

// AppendText appends <local>text</local>.
func AppendText(dst []byte, local, text string) []byte { panic("unwritten") }
