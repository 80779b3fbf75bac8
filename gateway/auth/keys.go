package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"comet/internal/textfile"
)

// Syntax of keys. A key is sent in a header as it is (RFC 6750 section 2.1).
var (
	keyName   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	keySecret = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{32,512}=*$`)
)

// KeyOptions are the API keys of back ends.
type KeyOptions struct {
	// Secrets are name:secret each. A name may appear several times: both secrets
	// are valid while one is rotated. Names have 1 to 64 letters, digits, dots,
	// dashes and underscores, secrets at least 32 characters.
	Secrets []string
	// Permissions are by name. Every name must be in both.
	Permissions map[string]Permissions
}

// Keys holds API keys. It never changes.
type Keys struct{ keys []hashedKey }

// hashedKey holds the hash of a key. SHA-256 is enough for long random keys. A slow
// hash, as for passwords, would only let strangers keep this node busy.
type hashedKey struct {
	hash      [sha256.Size]byte
	principal *Principal
}

// NewKeys parses the keys. Its error names everything that is invalid, but no secret.
func NewKeys(o KeyOptions) (*Keys, error) {
	k := &Keys{}
	var errs []error
	unused := maps.Clone(o.Permissions)
	principals := map[string]*Principal{}
	for i, text := range o.Secrets {
		name, secret, err := splitKey(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %d %w", i+1, err))
			continue
		}
		permissions, ok := o.Permissions[name]
		if !ok {
			errs = append(errs, fmt.Errorf("key %q has no permissions: add some, as in subscribe: [\"**\"]", name))
			continue
		}
		delete(unused, name)
		if principals[name] == nil {
			principals[name] = &Principal{Key: name, Permissions: permissions}
		}
		k.keys = append(k.keys, hashedKey{sha256.Sum256([]byte(secret)), principals[name]})
	}
	if len(errs) == 0 { // otherwise a name may be the secret of a malformed key
		for _, name := range slices.Sorted(maps.Keys(unused)) {
			errs = append(errs, fmt.Errorf("key %q has permissions but no secret: add %s:… to the keys, or remove the permissions", name, name))
		}
	}
	errs = append(errs, k.twice()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k, nil
}

// KeyName returns the name of a name:secret. Its error follows the name of the parsed
// value, and holds no part of it.
func KeyName(text string) (string, error) {
	name, _, err := splitKey(text)
	return name, err
}

func splitKey(text string) (name, secret string, err error) {
	name, secret, ok := strings.Cut(text, ":")
	switch {
	case !ok || !keyName.MatchString(name):
		return "", "", errors.New("must be name:secret, the name of letters, digits, dots, dashes and underscores")
	case !keySecret.MatchString(secret):
		return "", "", fmt.Errorf("(%q) must have a secret of 32 to 512 letters, digits or any of . _ ~ + / -, as from `openssl rand -hex 32`", name)
	}
	return name, secret, nil
}

// twice reports secrets that two names share.
func (k *Keys) twice() (errs []error) {
	names := map[[sha256.Size]byte]string{}
	for _, key := range k.keys {
		name := key.principal.Key
		if other, has := names[key.hash]; has && other != name {
			errs = append(errs, fmt.Errorf("keys %q and %q have the same secret: create another one for one of them", other, name))
		}
		names[key.hash] = name
	}
	return errs
}

// ReadKeys reads keys from a file, one name:secret per line. Empty lines and lines
// that begin with # are skipped. NewKeys validates the keys.
func ReadKeys(path string) ([]string, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	var keys []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	return keys, nil
}

// find returns the principal of a secret, or nil. Its time does not depend on the
// secret.
func (k *Keys) find(secret string) *Principal {
	if k == nil {
		return nil
	}
	hash := sha256.Sum256([]byte(secret))
	found := -1
	for i := range k.keys {
		same := subtle.ConstantTimeCompare(hash[:], k.keys[i].hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return nil
	}
	return k.keys[found].principal
}
