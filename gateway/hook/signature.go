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
// The HMAC is over the digits of t, a dot, and the body. Its key is the secret as
// written in the file.
const SignatureHeader = "Comet-Signature"

// Tolerance is the largest difference between the time of a signature and the clock
// of the receiver. A recorded request is invalid after it.
const Tolerance = 5 * time.Minute

// ErrSignature is wrapped by every error of Verify.
var ErrSignature = errors.New("not signed by comet")

// Verify checks a request that the application received. It returns nil if header,
// the value of SignatureHeader, is the signature of body by secret, not older than
// Tolerance. While a secret is rotated, verify with the new one, then the old one.
func Verify(secret []byte, header string, body []byte, now time.Time) error {
	if len(secret) < minSecret {
		return fmt.Errorf("%w: the secret must have at least %d bytes", ErrSignature, minSecret)
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the header %s must be t=…,v1=…", ErrSignature, SignatureHeader)
	}
	signed := time.Unix(seconds, 0)
	if !hmac.Equal([]byte(header), []byte(sign(secret, body, signed))) {
		return fmt.Errorf("%w: the signature is for another body or by another secret", ErrSignature)
	}
	if now.Sub(signed).Abs() > Tolerance {
		return fmt.Errorf("%w: its time differs from the clock by more than %v: check the clocks", ErrSignature, Tolerance)
	}
	return nil
}

// sign returns the value of SignatureHeader.
func sign(secret, body []byte, now time.Time) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
