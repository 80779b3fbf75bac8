package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"comet/gateway/auth"
	"comet/pubsub"
)

type tokenCreateOptions struct {
	user      string
	issuer    string
	audience  []string
	ttl       time.Duration
	lists     map[auth.Verb]*[]string // of patterns; nil: the token does not have it
	info      string
	algorithm string

	secretFile string
	keyFile    string
}

func newTokenCreate() *cobra.Command {
	o := tokenCreateOptions{lists: map[auth.Verb]*[]string{}}
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token",
		Long: `Make a token for a user and print it. It is signed with the secret in
--secret-file or ` + secretVariable + `, or with the private key in --key-file.

Patterns name channels: * is any text between slashes, ** any number of segments.
Without --history, the patterns of --subscribe allow reading history too.`,
		Example: `  comet token create --sub alice --subscribe 'chat/**' --ttl 1h
  comet token create --sub bob --publish news --publish 'chat/*' --secret-file secret
  comet token create --sub eve --key-file private.pem --iss https://login.example --aud comet --info '{"name": "Eve"}'`,
		Args:              arguments(cobra.NoArgs),
		RunE:              func(cmd *cobra.Command, _ []string) error { return createToken(cmd, &o) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&o.user, "sub", "", "the user; must be given")
	for _, list := range []struct {
		verb auth.Verb
		what string
	}{
		{auth.Subscribe, "to subscribe to"},
		{auth.Publish, "to publish to"},
		{auth.Presence, "to see who is in"},
		{auth.History, "to read the history of"},
	} {
		o.lists[list.verb] = f.StringArray(string(list.verb), nil, "channels "+list.what+", a pattern; may be given several times")
	}
	f.StringVar(&o.info, "info", "", "what others see of the user, JSON")
	f.DurationVar(&o.ttl, "ttl", time.Hour, "how long the token is valid")
	f.StringVar(&o.issuer, "iss", "", "the issuer")
	f.StringArrayVar(&o.audience, "aud", nil, "the audience; may be given several times")
	f.StringVar(&o.algorithm, "alg", "", "the algorithm (default: the usual one for the key, HS256 for a secret)")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the HMAC secret, 32 bytes at least; of several lines the first (or "+secretVariable+")")
	f.StringVar(&o.keyFile, "key-file", "", "PEM file with the private key, for RS, PS, ES and EdDSA")
	return cmd
}

func createToken(cmd *cobra.Command, o *tokenCreateOptions) error {
	claims, err := o.claims()
	if err != nil {
		return &usageError{err}
	}
	key, err := o.key()
	if err != nil {
		return err
	}
	token, err := auth.Sign(claims, o.algorithm, key)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
	return err
}

func (o *tokenCreateOptions) claims() (*auth.Claims, error) {
	now := time.Now()
	c := &auth.Claims{Subject: o.user, Issuer: o.issuer, Audience: o.audience, IssuedAt: now, Expires: now.Add(o.ttl)}
	var errs []error
	if o.secretFile != "" && o.keyFile != "" {
		errs = append(errs, errors.New("--secret-file and --key-file exclude each other: give one"))
	}
	if o.user == "" {
		errs = append(errs, errors.New("--sub is missing: name the user"))
	}
	if o.ttl < time.Second {
		errs = append(errs, errors.New("--ttl must be a second at least, as in 1h"))
	}
	if o.info != "" {
		info, err := pubsub.CompactJSON([]byte(o.info))
		if err != nil || len(info) > pubsub.MaxInfoBytes {
			errs = append(errs, fmt.Errorf(`--info must be JSON of at most %d bytes, as in '{"name": "Alice"}'`, pubsub.MaxInfoBytes))
		}
		c.Info = info
	}
	patterns := func(verb auth.Verb) auth.Patterns {
		ps, err := auth.ParsePatterns(*o.lists[verb])
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", verb, err))
		}
		return ps
	}
	c.Permissions = auth.Permissions{
		Subscribe: patterns(auth.Subscribe),
		Publish:   patterns(auth.Publish),
		Presence:  patterns(auth.Presence),
		History:   patterns(auth.History),
	}
	return c, errors.Join(errs...)
}

// key is what auth.Sign takes.
func (o *tokenCreateOptions) key() (any, error) {
	if o.keyFile != "" {
		key, err := auth.ReadPrivateKey(o.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--key-file: %w", err)
		}
		return key, nil
	}
	var files []string
	if o.secretFile != "" {
		files = []string{o.secretFile}
	}
	secrets, err := readSecrets(files)
	switch {
	case err != nil:
		return nil, err
	case len(secrets) == 0:
		return nil, &usageError{errors.New("nothing to sign with: give --secret-file or --key-file, or set " + secretVariable)}
	}
	return secrets[0], nil
}
