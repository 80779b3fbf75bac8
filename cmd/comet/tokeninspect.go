package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"comet/gateway/auth"
)

// defaultMaxAge is the default of auth.jwt.max_age.
const defaultMaxAge = 24 * time.Hour

type tokenInspectOptions struct {
	secretFiles []string
	tokens      auth.TokenOptions
}

func newTokenInspect() *cobra.Command {
	var o tokenInspectOptions
	cmd := &cobra.Command{
		Use:   "inspect TOKEN|-",
		Short: "Show what a token says, and why it would be refused",
		Long: `Show what a token says, what its user may do with it, and why a node with such
settings would refuse it. A - reads it from standard input, where no other user
of the host can see it.

The signature is checked only with --secret-file, --public-key-file, --jwks-url
or ` + secretVariable + `. The exit code is 0 if nothing is wrong as far as
was checked.`,
		Example: `  comet token inspect - --secret-file secret
  comet token inspect - --public-key-file public.pem --alg RS256 --iss https://login.example --aud comet
  comet token create --sub alice | comet token inspect -`,
		Args:              arguments(cobra.ExactArgs(1)),
		RunE:              func(cmd *cobra.Command, args []string) error { return inspectToken(cmd, args[0], &o) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.secretFiles, "secret-file", nil, "file with HMAC secrets, a line each; may be given several times (or "+secretVariable+")")
	f.StringArrayVar(&o.tokens.PublicKeyFiles, "public-key-file", nil, "PEM file with public keys; may be given several times")
	f.StringVar(&o.tokens.JWKSURL, "jwks-url", "", "URL of a JWK set")
	f.StringSliceVar(&o.tokens.Algorithms, "alg", nil, "accepted algorithms (default with a secret: HS256)")
	f.StringVar(&o.tokens.Issuer, "iss", "", "the issuer that the token must have")
	f.StringVar(&o.tokens.Audience, "aud", "", "the audience that the token must have")
	f.DurationVar(&o.tokens.MaxAge, "max-age", defaultMaxAge, "how long after iat, which is required, the token is valid (auth.jwt.max_age); 0s: no limit")
	f.DurationVar(&o.tokens.Leeway, "leeway", 10*time.Second, "how far clocks may differ (auth.jwt.leeway)")
	return cmd
}

func inspectToken(cmd *cobra.Command, token string, o *tokenInspectOptions) error {
	if o.tokens.Leeway < 0 {
		return &usageError{errors.New("--leeway must not be negative")}
	}
	if o.tokens.MaxAge < 0 {
		return &usageError{errors.New("--max-age must not be negative")}
	}
	token, err := readToken(cmd, token)
	if err != nil {
		return err
	}
	header, claims, err := auth.Peek(token)
	if err != nil {
		return fmt.Errorf("invalid token: %w", err)
	}
	if err := writeClaims(cmd.OutOrStdout(), header, claims); err != nil {
		return err
	}
	checked, err := o.check(cmd, token, claims)
	var refused *auth.Error
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("invalid token: %w", err)
	case err != nil:
		return err
	case checked:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\nThe token is valid.")
	default:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "\nThe token is valid if its signature is. The signature was not checked: give --secret-file, --public-key-file or --jwks-url.")
	}
	return err
}

// readToken is the argument, or the first line of standard input for a dash.
func readToken(cmd *cobra.Command, argument string) (string, error) {
	if argument != "-" {
		return argument, nil
	}
	lines := bufio.NewScanner(cmd.InOrStdin())
	switch more, err := scan(cmd.Context(), lines); {
	case errors.Is(err, bufio.ErrTooLong):
		return "", fmt.Errorf("the token is longer than %d bytes", bufio.MaxScanTokenSize)
	case err != nil:
		return "", err
	case !more:
		return "", errors.New("no token on standard input")
	}
	return strings.TrimSpace(lines.Text()), nil
}

// check is why the token would be refused, and whether its signature counted.
func (o *tokenInspectOptions) check(cmd *cobra.Command, token string, claims *auth.Claims) (signature bool, err error) {
	t := &o.tokens
	if t.Secrets, err = readSecrets(o.secretFiles); err != nil {
		return false, err
	}
	if len(t.Secrets)+len(t.PublicKeyFiles) == 0 && t.JWKSURL == "" {
		return false, t.Judge(claims)
	}
	if len(t.Algorithms) == 0 && len(t.Secrets) > 0 {
		t.Algorithms = []string{"HS256"}
	}
	t.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	tokens, err := auth.NewTokens(*t)
	if err != nil {
		return false, err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	var running sync.WaitGroup
	running.Go(func() { tokens.Run(ctx) })
	defer running.Wait()
	defer stop()
	_, err = tokens.Verify(ctx, token)
	return true, err
}

// writeClaims writes a table, a claim a line.
func writeClaims(out io.Writer, header map[string]any, c *auth.Claims) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
		}
	}
	for _, name := range []string{"alg", "kid"} {
		text, _ := header[name].(string)
		row(name, text)
	}
	row("sub", c.Subject)
	row("iss", c.Issuer)
	row("aud", strings.Join(c.Audience, ", "))
	row("iat", moment(c.IssuedAt))
	row("nbf", moment(c.NotBefore))
	row("exp", moment(c.Expires))
	if c.Expires.IsZero() {
		row("exp", "never")
	}
	row("subscribe", channels(c.Subscribe))
	row("publish", channels(c.Publish))
	row("presence", orSubscribe(c.Presence, c.Subscribe))
	row("history", orSubscribe(c.History, c.Subscribe))
	row("info", string(c.Info))
	return w.Flush()
}

// orSubscribe is the patterns of what is as subscribe if it is not said.
func orSubscribe(ps, subscribe auth.Patterns) string {
	if ps == nil {
		return channels(subscribe) + " (as subscribe)"
	}
	return channels(ps)
}

// channels is the patterns for people.
func channels(ps auth.Patterns) string {
	if len(ps) == 0 {
		return "nothing"
	}
	return strings.Join(ps.Strings(), ", ")
}

// moment is a time for people; empty: none.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	distance := time.Until(at).Round(time.Second)
	text := at.UTC().Format(time.RFC3339)
	if distance < 0 {
		return fmt.Sprintf("%s, %v ago", text, -distance)
	}
	return fmt.Sprintf("%s, in %v", text, distance)
}
