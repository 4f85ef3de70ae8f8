// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/preauth"
	"github.com/stonechat-im/stonechat/xmpp/registry"
)

// Token is a token that lets things make accounts, as the protocol tells it.
type Token struct {
	ID      string            `json:"id,omitempty"`
	Domain  string            `json:"domain,omitempty"`
	Uses    int               `json:"uses"`
	Used    int               `json:"used"`
	Created time.Time         `json:"created,omitzero"`
	Expires time.Time         `json:"expires,omitzero"`
	Spent   string            `json:"spent,omitempty"` // why it lets nobody in any more
	Groups  []string          `json:"groups,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	Note    string            `json:"note,omitempty"`

	// In the answer to POST alone; the server does not keep them.
	Token string `json:"token,omitempty"`
	URI   string `json:"uri,omitempty"`
}

// TagOf is the tag that people write as a name and a value. What XEP-0347 §5.2 says is a number must be one; so must a tag whose
// name has a # in front, as in codes.
func TagOf(name, value string) (store.ThingTag, error) {
	bare, numeric := strings.CutPrefix(strings.TrimSpace(name), "#")
	tag := registry.Str(bare, value)
	switch tag.Name {
	case registry.KEY, registry.R:
		return store.ThingTag{}, fmt.Errorf("%s is no tag that is given to a thing", tag.Name)
	case registry.ALT, registry.LAT, registry.LON, registry.V:
		numeric = true
	}
	if numeric {
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return store.ThingTag{}, fmt.Errorf("%s is a number, which %q is not", tag.Name, value)
		}
		tag = registry.Num(bare, n)
	}
	if err := tag.Check(); err != nil {
		return store.ThingTag{}, err
	}
	return store.ThingTag{Name: tag.Name, Str: tag.Text, Num: tag.Number, Numeric: tag.Numeric, Given: true}, nil
}

// tagsOf are all of them, sorted.
func tagsOf(all map[string]string) (tags []store.ThingTag, err error) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t, err := TagOf(name, all[name])
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", name, err)
		}
		if slices.ContainsFunc(tags, func(o store.ThingTag) bool { return o.Name == t.Name }) {
			return nil, fmt.Errorf("tag %s is there twice", t.Name)
		}
		tags = append(tags, t)
	}
	return tags, nil
}

// groupsOf are the groups, without the spaces around them, sorted, each once.
func groupsOf(all []string) (groups []string, err error) {
	for _, g := range all {
		if g = strings.TrimSpace(g); g == "" || len(g) > maxGroup {
			return nil, fmt.Errorf("a group has a name of at most %d bytes", maxGroup)
		}
		groups = append(groups, g)
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

const maxGroup = 255

// told are tags as people write them.
func told(tags []store.ThingTag) map[string]string {
	all := make(map[string]string, len(tags))
	for _, t := range tags {
		all[t.Name] = t.Str
		if t.Numeric {
			all[t.Name] = registry.Num(t.Name, t.Num).Value()
		}
	}
	return all
}

func (a *Service) addToken(w http.ResponseWriter, r *http.Request) {
	var in Token
	if !read(w, r, &in) {
		return
	}
	x, text, err := a.newToken(&in)
	if err == nil {
		err = a.store.Commit(store.AddToken{Token: x}).Wait(r.Context())
	}
	switch {
	case errors.Is(err, store.ErrTooLarge):
		answer(w, http.StatusBadRequest, Failure{fmt.Sprintf("the token is too large, or there are %d already: revoke some", store.MaxTokens)})
		return
	case errors.Is(err, store.ErrInvalid), errors.Is(err, errToken):
		answer(w, http.StatusBadRequest, Failure{err.Error()})
		return
	case err != nil:
		fail(w, jid.JID{}, err)
		return
	}
	out := tokenOf(&x, time.Now())
	out.Token = text
	at, _ := jid.New("", x.Domain, "") // it is one of ours
	out.URI = preauth.URI(at, text)
	answer(w, http.StatusCreated, out)
}

// errToken is that a token cannot be as it was asked for.
var errToken = errors.New("this is no token")

func (a *Service) newToken(in *Token) (x store.Token, text string, err error) {
	text = rand.Text()
	x = store.Token{
		Digest: sha256.Sum256([]byte(text)), Domain: in.Domain, Thing: true, Note: in.Note,
		Uses: in.Uses, Created: time.Now().UTC(), Expires: in.Expires.UTC(),
	}
	if x.Domain == "" {
		x.Domain = a.server.Domains()[0]
	}
	if x.Groups, err = groupsOf(in.Groups); err == nil {
		x.Tags, err = tagsOf(in.Tags)
	}
	switch {
	case err != nil:
	case !a.server.Serves(x.Domain):
		err = fmt.Errorf("%s is no domain that this server serves", x.Domain)
	case x.Spent(x.Created) != nil:
		err = errors.New("it could never be used: it needs uses, and an end that is to come")
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errToken, err)
	}
	return x, text, err
}

func tokenOf(x *store.Token, now time.Time) Token {
	t := Token{
		ID: x.ID(), Domain: x.Domain, Uses: x.Uses, Used: x.Used, Created: x.Created, Expires: x.Expires,
		Groups: x.Groups, Tags: told(x.Tags), Note: x.Note,
	}
	switch err := x.Spent(now); {
	case errors.Is(err, store.ErrSpent):
		t.Spent = "used up"
	case err != nil:
		t.Spent = "expired"
	}
	return t
}

func (a *Service) listTokens(w http.ResponseWriter, r *http.Request) {
	list, err := a.store.ListTokens(r.Context(), r.URL.Query().Get("after"), 0)
	if err != nil {
		fail(w, jid.JID{}, err)
		return
	}
	page := make([]Token, len(list))
	for i := range list {
		page[i] = tokenOf(&list[i], time.Now())
	}
	answer(w, http.StatusOK, page)
}

func (a *Service) revokeToken(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	switch err := a.store.Commit(store.RemoveToken{ID: id}).Wait(r.Context()); {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInvalid):
		answer(w, http.StatusNotFound, Failure{"there is no token " + id + ": it is called by what stands first in the list"})
	case err != nil:
		fail(w, jid.JID{}, err)
	default:
		answer(w, http.StatusOK, Token{ID: id})
	}
}
