// SPDX-License-Identifier: Apache-2.0

package caps

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // mandatory by XEP-0115 §9.1; names content, protects nothing
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
)

// The hash functions we know, by their IANA names. XEP-0115 §8.1, §9.1
const (
	SHA1   = "sha-1"
	SHA256 = "sha-256"
)

// What is wrong with capabilities. In no case may the information be taken for
// that of other entities which say the same; with ErrHash it is still true of the
// entity that gave it. XEP-0115 §5.4
var (
	ErrHash     = errors.New("caps: unknown hash function or legacy format")
	ErrIll      = errors.New("caps: ill-formed information")
	ErrMismatch = errors.New("caps: information does not match its hash")
)

// Ver makes the verification string of information that is to be announced. It
// changes nothing. XEP-0115 §5.1
//
// The error is ErrHash or wraps ErrIll.
func Ver(hash string, info *disco.Info) (string, error) {
	if hash != SHA1 && hash != SHA256 {
		return "", ErrHash
	}
	s, err := appendInfo(nil, info)
	if err != nil {
		return "", err
	}
	var sum []byte
	if hash == SHA1 {
		h := sha1.Sum(s) //nolint:gosec // see the import
		sum = h[:]
	} else {
		h := sha256.Sum256(s)
		sum = h[:]
	}
	return base64.StdEncoding.EncodeToString(sum), nil
}

// Verify reports by nil that the answer to a query of InfoNode is what c stands
// for, and may be remembered for all entities that announce the same Hash and
// Ver. XEP-0115 §5.4
//
// The error is ErrHash, ErrMismatch, or wraps ErrIll.
func (c *Caps) Verify(info *disco.Info) error {
	ver, err := Ver(c.Hash, info)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(ver), []byte(c.Ver)) != 1 {
		return ErrMismatch
	}
	return nil
}

// appendInfo writes the string S of XEP-0115 §5.1, whose parts end with '<'.
func appendInfo(s []byte, info *disco.Info) ([]byte, error) {
	var err error
	identities := slices.Clone(info.Identities)
	slices.SortFunc(identities, func(a, b disco.Identity) int {
		return cmp.Or(strings.Compare(a.Category, b.Category), strings.Compare(a.Type, b.Type),
			strings.Compare(a.Lang, b.Lang), strings.Compare(a.Name, b.Name))
	})
	for i, id := range identities {
		if i > 0 && id == identities[i-1] {
			return nil, fmt.Errorf("%w: an identity twice", ErrIll)
		}
		if strings.IndexByte(id.Category+id.Type+id.Lang, '/') >= 0 { // as in appendPart
			return nil, fmt.Errorf("%w: '/' in an identity", ErrIll)
		}
		s, err = appendPart(s, err, id.Category+"/"+id.Type+"/"+id.Lang+"/"+id.Name)
	}
	features := slices.Sorted(slices.Values(info.Features))
	for i, f := range features {
		if i > 0 && f == features[i-1] {
			return nil, fmt.Errorf("%w: a feature twice", ErrIll)
		}
		s, err = appendPart(s, err, f)
	}
	if err != nil {
		return nil, err
	}
	return appendForms(s, info.Forms)
}

// appendForms writes those forms that have a hidden FORM_TYPE; others count for
// nothing. XEP-0115 §5.4 no. 3.6
func appendForms(s []byte, forms []*form.Form) ([]byte, error) {
	typed := make(map[string]*form.Form, len(forms))
	for _, f := range forms {
		field := f.Field(form.VarFormType)
		if field == nil || field.Type != form.Hidden || len(field.Values) == 0 {
			continue
		}
		name := field.Values[0]
		for _, v := range field.Values {
			if v != name {
				return nil, fmt.Errorf("%w: a form of two types", ErrIll)
			}
		}
		if typed[name] != nil {
			return nil, fmt.Errorf("%w: two forms of one type", ErrIll)
		}
		typed[name] = f
	}
	names := make([]string, 0, len(typed))
	for name := range typed {
		names = append(names, name)
	}
	slices.Sort(names)
	var err error
	for _, name := range names {
		s, err = appendPart(s, err, name)
		s, err = appendFields(s, err, typed[name].Fields)
	}
	return s, err
}

func appendFields(s []byte, err error, fields []form.Field) ([]byte, error) {
	fields = slices.Clone(fields)
	slices.SortStableFunc(fields, func(a, b form.Field) int { return strings.Compare(a.Var, b.Var) })
	for _, f := range fields {
		if f.Var == form.VarFormType {
			continue
		}
		s, err = appendPart(s, err, f.Var)
		for _, v := range slices.Sorted(slices.Values(f.Values)) {
			s, err = appendPart(s, err, v)
		}
	}
	return s, err
}

// appendPart writes one part, or nothing after an error.
//
// Deviation: a part with '<' in it is ill-formed. XEP-0115 §5.1 lets it stand, but
// then different information has the same hash, and one entity could speak for
// others (§9.3). What is lost is only that such information is not shared.
func appendPart(s []byte, err error, part string) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if strings.IndexByte(part, '<') >= 0 {
		return nil, fmt.Errorf("%w: '<' in it", ErrIll)
	}
	return append(append(s, part...), '<'), nil
}
