package auth

import (
	"errors"
	"fmt"
	"time"
)

// Reason is why a credential was refused. It is stable, and may be a label.
type Reason string

// Every reason. Most are for 401; what else fits is said.
const (
	Missing        Reason = "missing"         // a credential is needed
	Malformed      Reason = "malformed"       // not even a token, or claims that mean nothing
	WrongAlgorithm Reason = "wrong-algorithm" // not in the list, or no key of its kind
	BadSignature   Reason = "bad-signature"   // by none of the keys
	UnknownKey     Reason = "unknown-key"     // of a back end
	Expired        Reason = "expired"
	NotYetValid    Reason = "not-yet-valid"
	WrongIssuer    Reason = "wrong-issuer"
	WrongAudience  Reason = "wrong-audience"
	Revoked        Reason = "revoked"
	Several        Reason = "several"      // more than one credential; 400
	WrongOrigin    Reason = "wrong-origin" // a cookie that another site may have made the browser send; 403
)

// Error is why a request's credential was refused.
type Error struct {
	Reason Reason
	Detail string // sentences that say how to mend it; never any part of the credential
	// Wait is how long it takes until the same token, or one of the same user
	// that is issued then, is accepted. 0: asking again does not help.
	Wait time.Duration
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

func refuse(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// refuseFor is refuse for what time alone changes.
func refuseFor(wait time.Duration, reason Reason, format string, args ...any) *Error {
	e := refuse(reason, format, args...)
	e.Wait = max(wait, 0)
	return e
}

// ErrRevoked says that a token's user was revoked after it was issued.
var ErrRevoked = refuse(Revoked, "The token was revoked after it was issued: get a new one.")

// ErrKeysUnavailable says that a token cannot be judged, as the JWKS URL has
// not given any keys yet. It may be valid: a 503.
var ErrKeysUnavailable = errors.New("the keys of auth.jwt.jwks_url have not been loaded yet, so no token can be checked: try again soon; the log says what is wrong if it stays so")

// DeniedError says that somebody lacks a permission.
type DeniedError struct {
	Verb       Verb
	Channel    string
	Credential Credential // what did not give it; None: a 401 may be right, as a credential could
	Lacking    string     // the claim, key or setting that does not name the channel, in words
}

// Error is a sentence for the one who lacks it.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("You may not %s channel %q: %s does not name it.", e.Verb.phrase(), e.Channel, e.Lacking)
}

// Verb is what a permission is for; claims and settings have the same names.
type Verb string

// Every verb.
const (
	Subscribe Verb = "subscribe"
	Publish   Verb = "publish"
	Presence  Verb = "presence"
	History   Verb = "history"
)

// phrase is the verb in a sentence, before its channel.
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
