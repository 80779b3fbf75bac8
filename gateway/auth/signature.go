package auth

import (
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// errNotFetched means that no key fits, but a key that is not fetched yet may.
var errNotFetched = errors.New("the token's key may not have been fetched yet")

var errNoToken = refuse(Malformed, "The credential is not a token: a token is three parts of base64url without padding, separated by dots, and its header names an algorithm.")

// envelope passes Claims to the library. The library validates no claims:
// TokenOptions.Judge does, with reasons.
type envelope struct {
	*Claims
	jwt.RegisteredClaims // always empty
}

// parse returns the claims of a token signed by a fixed key or a key of set. Its error
// is an *Error or errNotFetched.
func (t *Tokens) parse(token string, set *keySet) (*Claims, error) {
	claims := &Claims{}
	parsed, err := t.parser.ParseWithClaims(token, &envelope{Claims: claims}, func(token *jwt.Token) (any, error) {
		if _, has := token.Header["crit"]; has {
			// RFC 7515 section 4.1.11: no extension is supported.
			return nil, refuse(Malformed, "The header of the token has crit, which requires extensions that this node does not support: get a token without crit.")
		}
		return t.keysFor(token, set), nil
	})
	if err == nil {
		return claims, nil
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return nil, refused
	}
	return nil, t.explain(parsed, set, err)
}

// keysFor returns the keys that may have signed token.
func (t *Tokens) keysFor(token *jwt.Token, set *keySet) (found jwt.VerificationKeySet) {
	id, _ := token.Header["kid"].(string)
	for _, v := range append(slices.Clip(t.fixed), set.all()...) {
		if v.fits(token.Method.Alg()) && (v.id == "" || id == "" || v.id == id) {
			found.Keys = append(found.Keys, v.key)
		}
	}
	return found
}

// explain replaces an error of the parser, which may contain parts of the token, with
// one for the client.
func (t *Tokens) explain(parsed *jwt.Token, set *keySet, err error) error {
	var algorithm string
	if parsed != nil {
		algorithm, _ = parsed.Header["alg"].(string)
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed) || algorithm == "":
		return errNoToken
	case !slices.Contains(t.options.Algorithms, algorithm):
		if !slices.Contains(algorithms, algorithm) {
			algorithm = "not supported"
		}
		return refuse(WrongAlgorithm, "The algorithm of the token is %s, and this node accepts %s (auth.jwt.algorithms): get a token with one of these, or add the algorithm to the setting.",
			algorithm, strings.Join(t.options.Algorithms, ", "))
	case t.mayBeFetched(parsed, set):
		return errNotFetched
	case len(t.keysFor(parsed, set).Keys) == 0:
		return refuse(WrongAlgorithm, "This node has no key for the algorithm %s that fits the token: add one (auth.jwt), or get a token with another algorithm.", algorithm)
	}
	return refuse(BadSignature, "The signature of the token does not match any key of this node (auth.jwt): check that the issuer and the node use the same key. A secret is the text of its line, without the end of the line, and is not decoded.")
}

// mayBeFetched reports whether token's key may be at the URL but not in set.
func (t *Tokens) mayBeFetched(token *jwt.Token, set *keySet) bool {
	if t.fetched == nil || isHMAC(token.Method.Alg()) {
		return false
	}
	id, _ := token.Header["kid"].(string)
	return set == nil || id != "" && !slices.ContainsFunc(set.verifiers, func(v *verifier) bool { return v.id == id })
}
