package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader is the header that has the signature of a request:
//
//	Comet-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256, 64 lower-case hexadecimal digits>
//
// The HMAC is of what t says, a dot, and the body, with the secret as it is
// written in the setting.
const SignatureHeader = "Comet-Signature"

// Tolerance is how far the time of a signature may be from the receiver's
// clock, either way. A request that somebody recorded is worthless after it.
const Tolerance = 5 * time.Minute

// ErrSignature is what every error of Verify wraps.
var ErrSignature = errors.New("not signed by comet")

// Verify is for who receives a request: nil if header, the value of its
// SignatureHeader, is body's signature by secret, and of about now. While a
// secret is replaced, verify with the new and then with the old one.
func Verify(secret []byte, header string, body []byte, now time.Time) error {
	if len(secret) < minSecret {
		return fmt.Errorf("%w: the secret to verify with must have %d bytes at least", ErrSignature, minSecret)
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the header %s must be t=…,v1=…", ErrSignature, SignatureHeader)
	}
	signed := time.Unix(seconds, 0)
	if !hmac.Equal([]byte(header), []byte(sign(secret, body, signed))) {
		return fmt.Errorf("%w: the signature is of another body, or by another secret", ErrSignature)
	}
	if now.Sub(signed).Abs() > Tolerance {
		return fmt.Errorf("%w: it was signed more than %v away from now: see that the clocks agree", ErrSignature, Tolerance)
	}
	return nil
}

// sign is the value of SignatureHeader.
func sign(secret, body []byte, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
