package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason is why a credential was refused. It is stable, and may be used as a label.
type Reason string

// Reasons. The status is 401 unless stated.
const (
	Missing        Reason = "missing"         // a credential is required
	Malformed      Reason = "malformed"       // not a token, or invalid claims
	WrongAlgorithm Reason = "wrong-algorithm" // not accepted, or no key of its kind
	BadSignature   Reason = "bad-signature"   // not made by any of the keys
	UnknownKey     Reason = "unknown-key"     // not one of the API keys
	Expired        Reason = "expired"
	NotYetValid    Reason = "not-yet-valid"
	WrongIssuer    Reason = "wrong-issuer"
	WrongAudience  Reason = "wrong-audience"
	Revoked        Reason = "revoked"
	Several        Reason = "several"      // more than one credential; 400
	WrongOrigin    Reason = "wrong-origin" // a cookie in a request that another site may have caused; 403
)

// Error says why a credential was refused.
type Error struct {
	Reason Reason
	Detail string // sentences that say how to fix it; never any part of the credential
	// Wait is the time until this token, or a new token of the same user, is
	// accepted. 0: a retry does not help.
	Wait time.Duration
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

func refuse(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// refuseFor is refuse with a wait, for refusals that end by themselves.
func refuseFor(wait time.Duration, reason Reason, format string, args ...any) *Error {
	e := refuse(reason, format, args...)
	e.Wait = max(wait, 0)
	return e
}

// ErrRevoked means that the user was revoked after the token was issued.
var ErrRevoked = refuse(Revoked, "The token was revoked after it was issued: get a new one.")

// ErrKeysUnavailable means that a token cannot be verified, as no keys were fetched
// from the JWKS URL yet. The token may be valid, so the status is 503.
var ErrKeysUnavailable = errors.New("the keys of auth.jwt.jwks_url have not been loaded yet, so tokens cannot be verified: try again later, and see the log of the node for the cause")

// DeniedError is the error of a principal without a permission.
type DeniedError struct {
	Verb       Verb
	Channel    string
	Credential Credential // of the principal; None: 401 may fit, as a credential may help
	Lacking    string     // the claim, key or setting that does not include the channel, in words
	Allowed    []string   // if Channel is a pattern: some channels and patterns within it that are permitted
}

// Error returns a sentence for the client.
func (e *DeniedError) Error() string {
	if strings.Contains(e.Channel, "*") {
		text := fmt.Sprintf("You may not %s pattern %q: %s does not include all channels that it can match.", e.Verb.phrase(), e.Channel, e.Lacking)
		if len(e.Allowed) > 0 {
			text += fmt.Sprintf(" Within it, it includes %q: ask for that.", e.Allowed)
		}
		return text
	}
	return fmt.Sprintf("You may not %s channel %q: %s does not include it.", e.Verb.phrase(), e.Channel, e.Lacking)
}

// MissingCredential returns a sentence for a client that sent no credential to a
// node that takes some. It names no setting: the fix is a credential.
func (e *DeniedError) MissingCredential() string {
	return fmt.Sprintf("No credential was sent, and without one you may not %s channel %q: send a token or a key as `Authorization: Bearer …`, or a token in the parameter access_token.",
		e.Verb.phrase(), e.Channel)
}

// Verb is the action of a permission. Claims and settings have the same names.
type Verb string

// Every verb.
const (
	Subscribe Verb = "subscribe"
	Publish   Verb = "publish"
	Presence  Verb = "presence"
	History   Verb = "history"
)

// phrase returns the verb as it stands before a channel in a sentence.
func (v Verb) phrase() string {
	switch v {
	case Presence:
		return "see who is in"
	case History:
		return "read the history of"
	}
	return string(v) + " to"
}

// Credential is a kind of credential.
type Credential string

// Every kind of credential.
const (
	None  Credential = "none"
	Token Credential = "token"
	Key   Credential = "key"
)
