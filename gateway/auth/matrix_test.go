package auth

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// matrix is an Authenticator that takes HS256 and RS256 tokens and a key.
func matrix(t testing.TB) *Authenticator {
	t.Helper()
	keys, err := NewKeys(KeyOptions{
		Secrets:     []string{"backend:" + keyText},
		Permissions: map[string]Permissions{"backend": {Publish: mustPatterns(t, "**")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	revocations := NewRevocations(time.Hour, 10)
	revocations.Revoke("mallory", time.Now())
	a, err := New(Options{
		Tokens: mustTokens(t, TokenOptions{
			Algorithms:     []string{"HS256", "RS256"},
			Secrets:        [][]byte{[]byte(secretText)},
			PublicKeyFiles: []string{pairs()["rsa"].file(t)},
			Issuer:         "issuer",
			Audience:       "comet",
			Leeway:         10 * time.Second,
		}),
		Keys:        keys,
		Revocations: revocations,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestMatrix has every kind of credential, each in every place for one.
func TestMatrix(t *testing.T) {
	a := matrix(t)
	rsaKey := pairs()["rsa"]
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	comet := func(value any) map[string]any { return alice(map[string]any{"comet": value}) }
	for name, test := range map[string]struct {
		token string
		want  Reason
	}{
		"right":           {hs256(t, alice(nil)), ""},
		"right, RS256":    {sign(t, "RS256", rsaKey.private, nil, alice(nil)), ""},
		"right, key id":   {sign(t, "RS256", rsaKey.private, map[string]any{"kid": "some"}, alice(nil)), ""},
		"within leeway":   {hs256(t, alice(map[string]any{"exp": ago(5 * time.Second), "nbf": ago(-5 * time.Second), "iat": ago(-5 * time.Second)})), ""},
		"several aud":     {hs256(t, alice(map[string]any{"aud": []string{"else", "comet"}})), ""},
		"no exp":          {hs256(t, alice(map[string]any{"exp": nil})), ""},
		"no permissions":  {hs256(t, alice(map[string]any{"comet": nil})), ""},
		"unknown claim":   {hs256(t, alice(map[string]any{"Sub": "mallory", "scope": 1})), ""},
		"fraction":        {hs256(t, alice(map[string]any{"exp": float64(ago(-time.Minute)) + 0.5})), ""},
		"empty lists":     {hs256(t, comet(map[string]any{"subscribe": []string{}})), ""},
		"another secret":  {sign(t, "HS256", []byte(otherText), nil, alice(nil)), BadSignature},
		"HS/RS confusion": {sign(t, "HS256", []byte(publicPEM(t, rsaKey.private.Public())), nil, alice(nil)), BadSignature},
		"not listed":      {sign(t, "HS512", []byte(secretText), nil, alice(nil)), WrongAlgorithm},
		"not listed, RSA": {sign(t, "PS256", rsaKey.private, nil, alice(nil)), WrongAlgorithm},
		"no kind of key":  {sign(t, "ES256", pairs()["p256"].private, nil, alice(nil)), WrongAlgorithm},
		"alg none":        {unsigned(t, "none", alice(nil)), WrongAlgorithm},
		"alg None":        {unsigned(t, "None", alice(nil)), WrongAlgorithm},
		"alg unknown":     {unsigned(t, "XS256", alice(nil)), WrongAlgorithm},
		"alg empty":       {unsigned(t, "", alice(nil)), Malformed},
		"alg a number":    {unsigned(t, 256, alice(nil)), Malformed},
		"crit":            {sign(t, "HS256", []byte(secretText), map[string]any{"crit": []string{"b64"}, "b64": false}, alice(nil)), Malformed},
		"no signature":    {unsigned(t, "HS256", alice(nil)), BadSignature},
		"expired":         {hs256(t, alice(map[string]any{"exp": ago(time.Minute)})), Expired},
		"expired at zero": {hs256(t, alice(map[string]any{"exp": 0})), Expired},
		"not yet":         {hs256(t, alice(map[string]any{"nbf": ago(-time.Minute)})), NotYetValid},
		"issued later":    {hs256(t, alice(map[string]any{"iat": ago(-time.Minute)})), NotYetValid},
		"wrong issuer":    {hs256(t, alice(map[string]any{"iss": "other"})), WrongIssuer},
		"no issuer":       {hs256(t, alice(map[string]any{"iss": nil})), WrongIssuer},
		"wrong audience":  {hs256(t, alice(map[string]any{"aud": []string{"other", "COMET"}})), WrongAudience},
		"no audience":     {hs256(t, alice(map[string]any{"aud": nil})), WrongAudience},
		"revoked":         {hs256(t, alice(map[string]any{"sub": "mallory"})), Revoked},
		"no sub":          {hs256(t, alice(map[string]any{"sub": nil, "Sub": "alice"})), Malformed},
		"sub a number":    {hs256(t, alice(map[string]any{"sub": 7})), Malformed},
		"sub with a line": {hs256(t, alice(map[string]any{"sub": "a\nb"})), Malformed},
		"exp a text":      {hs256(t, alice(map[string]any{"exp": "4000000000"})), Malformed},
		"exp far away":    {hs256(t, alice(map[string]any{"exp": 1e300})), Malformed},
		"exp negative":    {hs256(t, alice(map[string]any{"exp": -1})), Malformed},
		"aud a number":    {hs256(t, alice(map[string]any{"aud": 1})), Malformed},
		"comet a list":    {hs256(t, comet([]string{"chat/**"})), Malformed},
		"comet misspelt":  {hs256(t, comet(map[string]any{"subscirbe": []string{"a"}})), Malformed},
		"list a text":     {hs256(t, comet(map[string]any{"subscribe": "chat/**"})), Malformed},
		"list null":       {hs256(t, comet(map[string]any{"history": (*int)(nil)})), Malformed},
		"item null":       {hs256(t, comet(map[string]any{"subscribe": []any{"a", nil}})), Malformed},
		"bad pattern":     {hs256(t, comet(map[string]any{"publish": []string{"a", "b**"}})), Malformed},
		"another key":     {"fedcba98765432100123456789abcdef01234567", UnknownKey},
		"key":             {keyText, ""},
		"nonsense":        {"a.b.c", Malformed},
		"padding":         {hs256(t, alice(nil)) + "==", Malformed},
		"four parts":      {hs256(t, alice(nil)) + ".x", UnknownKey},
		"too long":        {hs256(t, alice(map[string]any{"x": string(make([]byte, maxToken))})), Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := a.Authenticate(request(http.MethodGet, "/", "Bearer "+test.token))
			wantReason(t, err, test.want, test.token)
			if (p == nil) != (test.want != "") {
				t.Errorf("got principal %v with error %v", p, err)
			}
			if again, err2 := a.Authenticate(request(http.MethodGet, "/", "bearer  "+test.token)); again != p && test.want == "" {
				t.Errorf("again it is %v, %v", again, err2)
			}
			// Now it is known, unless time changes it.
			known, ok, err := a.Known(request(http.MethodGet, "/", "Bearer "+test.token))
			if ok != (test.want != NotYetValid) || known != p {
				t.Errorf("known is %v: %v, %v", ok, known, err)
			}
			if ok {
				wantReason(t, err, test.want, test.token)
			}
			if test.want == UnknownKey || test.token == keyText {
				test.want = Malformed // a key counts only in the header
			}
			_, err = a.Authenticate(request(http.MethodGet, "/?access_token="+test.token, ""))
			wantReason(t, err, test.want, test.token)
		})
	}
}

func TestMissing(t *testing.T) {
	_, err := matrix(t).Authenticate(request(http.MethodGet, "/", ""))
	wantReason(t, err, Missing)
}

// Where nothing is set that could check a credential, it neither helps nor
// harms.
func TestNothingTaken(t *testing.T) {
	a, err := New(Options{Anonymous: Permissions{Subscribe: mustPatterns(t, "**")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"", "Bearer " + hs256(t, alice(nil)), "Basic YTpi"} {
		p, err := a.Authenticate(request(http.MethodGet, "/", header))
		if err != nil || p.Credential() != None || p.MaySubscribe("a") != nil || p.MayPublish("a") == nil {
			t.Errorf("%.10q: got %+v, %v", header, p, err)
		}
	}
}

func TestKeysWithoutTokens(t *testing.T) {
	a := matrix(t)
	a.options.Tokens = nil
	if p, err := a.Authenticate(request(http.MethodGet, "/", "Bearer "+keyText)); err != nil || p.Key != "backend" {
		t.Errorf("got %+v, %v", p, err)
	}
	token := hs256(t, alice(nil))
	_, err := a.Authenticate(request(http.MethodGet, "/", "Bearer "+token))
	wantReason(t, err, UnknownKey, token)
}

func TestLackingPermission(t *testing.T) {
	all := mustPatterns(t, "chat/**")
	for _, test := range []struct {
		who  Principal
		ask  func(*Principal, string) error
		verb Verb
		want string // "": allowed
	}{
		{Principal{User: "alice", Permissions: Permissions{Subscribe: all}}, (*Principal).MaySubscribe, Subscribe, ""},
		{Principal{User: "alice", Permissions: Permissions{Subscribe: all}}, (*Principal).MayReadHistory, History, ""},
		{Principal{User: "alice", Permissions: Permissions{Subscribe: all, History: Patterns{}}}, (*Principal).MayReadHistory, History,
			`You may not read the history of channel "chat/1": the claim comet.history of your token does not include it.`},
		{Principal{User: "alice"}, (*Principal).MayReadHistory, History,
			`You may not read the history of channel "chat/1": the claim comet.subscribe of your token does not include it.`},
		{Principal{User: "alice", Permissions: Permissions{Subscribe: all}}, (*Principal).MayPublish, Publish,
			`You may not publish to channel "chat/1": the claim comet.publish of your token does not include it.`},
		{Principal{Key: "backend", Permissions: Permissions{Publish: all}}, (*Principal).MaySubscribe, Subscribe,
			`You may not subscribe to channel "chat/1": the permission subscribe of the key "backend" does not include it.`},
		{Principal{}, (*Principal).MaySeePresence, Presence,
			`You may not see who is in channel "chat/1": the setting auth.anonymous.subscribe does not include it.`},
		{Principal{User: "alice", Permissions: Permissions{Subscribe: all}}, (*Principal).MaySeePresence, Presence, ""},
		{Principal{User: "alice", Permissions: Permissions{Subscribe: all, Presence: Patterns{}}}, (*Principal).MaySeePresence, Presence,
			`You may not see who is in channel "chat/1": the claim comet.presence of your token does not include it.`},
	} {
		err := test.ask(&test.who, "chat/1")
		denied, ok := errors.AsType[*DeniedError](err)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%+v %s: got %v", test.who, test.verb, err)
		case test.want != "" && (!ok || err.Error() != test.want):
			t.Errorf("%+v %s: got %v, want %s", test.who, test.verb, err, test.want)
		case ok && (denied.Verb != test.verb || denied.Channel != "chat/1" || denied.Credential != test.who.Credential()):
			t.Errorf("got %+v", denied)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{{Cookie: "a b"}, {Origins: []string{"example.org"}}, {Origins: []string{"https://example.org/"}}, {Origins: []string{"*"}}} {
		if a, err := New(o); err == nil || a != nil {
			t.Errorf("%+v: got %v, %v", o, a, err)
		}
	}
}
