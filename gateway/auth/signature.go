package auth

import (
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// errNotFetched says that none of the keys fits, but one that is still to be
// fetched may.
var errNotFetched = errors.New("the token's key may not have been fetched yet")

var errNoToken = refuse(Malformed, "This is no token: it must be three parts of base64url without padding, separated by dots, the first of which names an algorithm.")

// envelope is Claims as the library takes them: it gets none to judge, as only
// TokenOptions.Judge tells why.
type envelope struct {
	*Claims
	jwt.RegisteredClaims // always empty
}

// parse is the claims of a token that is signed by one of the fixed keys or of
// set. Its error is an *Error, or errNotFetched.
func (t *Tokens) parse(token string, set *keySet) (*Claims, error) {
	claims := &Claims{}
	parsed, err := t.parser.ParseWithClaims(token, &envelope{Claims: claims}, func(token *jwt.Token) (any, error) {
		if _, has := token.Header["crit"]; has {
			// RFC 7515 section 4.1.11: we understand none of what it may name.
			return nil, refuse(Malformed, "The header of the token has crit, which asks for extensions that this node does not have: get one without.")
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

// keysFor is the keys that token's signature may be by.
func (t *Tokens) keysFor(token *jwt.Token, set *keySet) (found jwt.VerificationKeySet) {
	id, _ := token.Header["kid"].(string)
	for _, v := range append(slices.Clip(t.fixed), set.all()...) {
		if v.fits(token.Method.Alg()) && (v.id == "" || id == "" || v.id == id) {
			found.Keys = append(found.Keys, v.key)
		}
	}
	return found
}

// explain makes a parser's error one that is safe to tell: the parser's own may
// have parts of the token.
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
			algorithm = "none that is ever taken"
		}
		return refuse(WrongAlgorithm, "The algorithm of the token is %s, and this node takes %s (auth.jwt.algorithms): get a token signed so, or add the algorithm there.",
			algorithm, strings.Join(t.options.Algorithms, ", "))
	case t.mayBeFetched(parsed, set):
		return errNotFetched
	case len(t.keysFor(parsed, set).Keys) == 0:
		return refuse(WrongAlgorithm, "This node has no key for %s that could be the token's: give it one (auth.jwt), or get a token signed with another algorithm.", algorithm)
	}
	return refuse(BadSignature, "The signature of the token is by none of the keys of this node (auth.jwt): see that its issuer and the node have the same.")
}

// mayBeFetched reports whether token's key may be at the URL but not in set.
func (t *Tokens) mayBeFetched(token *jwt.Token, set *keySet) bool {
	if t.fetched == nil || isHMAC(token.Method.Alg()) {
		return false
	}
	id, _ := token.Header["kid"].(string)
	return set == nil || id != "" && !slices.ContainsFunc(set.verifiers, func(v *verifier) bool { return v.id == id })
}
