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

// Bounds of keys. A key goes into a header as it is (RFC 6750 section 2.1).
var (
	keyName   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	keySecret = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{32,512}=*$`)
)

// KeyOptions is the keys of back ends.
type KeyOptions struct {
	// Secrets has name:secret each. A name may be there several times: while a
	// secret is replaced, both are valid. Names have 1 to 64 letters, digits,
	// dots, dashes and underscores; secrets 32 characters at least.
	Secrets []string
	// Permissions is by name. Every name must be in both.
	Permissions map[string]Permissions
}

// Keys knows the keys of back ends. It never changes.
type Keys struct{ keys []hashedKey }

// hashedKey has no secret. A plain SHA-256 is right for what is random and
// longer than anyone can guess, however fast they are; a slow hash, made for
// passwords, would only let strangers keep this node busy.
type hashedKey struct {
	hash      [sha256.Size]byte
	principal *Principal
}

// NewKeys reads the keys. Its error names everything that is wrong, but no
// secret.
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
			errs = append(errs, fmt.Errorf("key %q may do nothing: give it permissions, as in subscribe: [\"**\"]", name))
			continue
		}
		delete(unused, name)
		if principals[name] == nil {
			principals[name] = &Principal{Key: name, Permissions: permissions}
		}
		k.keys = append(k.keys, hashedKey{sha256.Sum256([]byte(secret)), principals[name]})
	}
	if len(errs) == 0 { // else a name may be what somebody took from a malformed key: its secret
		for _, name := range slices.Sorted(maps.Keys(unused)) {
			errs = append(errs, fmt.Errorf("key %q has permissions and no secret: add %s:… to the keys, or remove them", name, name))
		}
	}
	errs = append(errs, k.twice()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k, nil
}

// KeyName is the name of a name:secret. Its error, without any part of the
// text, reads behind the name of what was parsed.
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
		return "", "", fmt.Errorf("(%q) must have a secret of 32 to 512 letters, digits or any of . _ ~ + / -, as `openssl rand -hex 32` makes them", name)
	}
	return name, secret, nil
}

// twice reports a secret that two names have.
func (k *Keys) twice() (errs []error) {
	names := map[[sha256.Size]byte]string{}
	for _, key := range k.keys {
		name := key.principal.Key
		if other, has := names[key.hash]; has && other != name {
			errs = append(errs, fmt.Errorf("keys %q and %q have the same secret: make another for one of them", other, name))
		}
		names[key.hash] = name
	}
	return errs
}

// ReadKeys reads a file of keys, name:secret a line. Empty lines, and those
// that begin with #, are left out. The keys themselves are judged by NewKeys.
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

// find is whose the secret is; nil: nobody's, or there are no keys. It takes as
// long whatever the secret is.
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
