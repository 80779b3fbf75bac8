package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"comet/client"
	"comet/internal/textfile"
)

const defaultURL = "http://127.0.0.1:8080"

// access is the flags of a command that calls nodes.
type access struct {
	urls      []string
	tokenFile string
}

// addTo gives cmd the flags.
func (a *access) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&a.urls, "url", nil, "address of Comet, or of several nodes (also "+urlVariable+"; default "+defaultURL+")")
	f.StringVar(&a.tokenFile, "token-file", "", "file that holds a token or the secret of an API key (also "+tokenVariable+", which holds it itself)")
	_ = cmd.MarkFlagFilename("token-file") // fails only for an unknown flag
}

// connect returns a client for the nodes of the flags or of the environment.
// The retryNotice reports its retries on standard error.
func (a *access) connect(cmd *cobra.Command, until string) (*client.Client, *retryNotice, error) {
	urls := a.urls
	source := "--url"
	if len(urls) == 0 {
		urls = []string{defaultURL}
		if fromEnv := os.Getenv(urlVariable); fromEnv != "" {
			urls, source = strings.Split(fromEnv, ","), urlVariable
		}
	}
	for _, text := range urls {
		if _, err := baseURL(source, text, defaultURL); err != nil {
			return nil, nil, err
		}
	}
	token, err := a.token()
	if err != nil {
		return nil, nil, err
	}
	notice := &retryNotice{out: cmd.ErrOrStderr(), until: until}
	o := client.Options{URLs: urls, Logger: slog.New(notice)}
	if token != "" {
		o.Token = func(context.Context) (string, error) { return a.token() } // the file may have another one by then
	}
	c, err := client.New(o)
	return c, notice, err
}

// token returns the token to send, empty if none is given.
func (a *access) token() (string, error) { return tokenFrom(a.tokenFile, tokenVariable) }

// explain adds to a refusal how to give a token, if none was given.
func (a *access) explain(err error) error {
	problem, ok := errors.AsType[*client.ProblemError](err)
	if !ok || problem.Status != http.StatusUnauthorized {
		return err
	}
	if token, failed := a.token(); failed != nil || token != "" {
		return err
	}
	return fmt.Errorf("%w (give a token or key with --token-file or %s)", err, tokenVariable)
}

// tokenFrom returns the token in the file or, without a file, in the variable.
// Errors do not contain it.
func tokenFrom(file, variable string) (string, error) {
	source, text := variable, os.Getenv(variable)
	if file != "" {
		source = "--token-file"
		content, err := textfile.Read(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		text = string(content)
		if strings.TrimSpace(text) == "" {
			return "", fmt.Errorf("--token-file: %s is empty", file)
		}
	}
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: not a token or key: it has spaces, line ends or other characters that a header cannot hold", source)
	}
	return text, nil
}

// baseURL parses an address that a flag or variable gives. Errors do not contain
// its query, password or user: any of them may be a token.
func baseURL(source, text, example string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		shown, _, _ := strings.Cut(text, "?")
		shown = shown[strings.LastIndexByte(shown, '@')+1:]
		return nil, &usageError{fmt.Errorf("%s: invalid address %q: write it as %s", source, shown, example)}
	case u.RawQuery != "" || u.Fragment != "":
		bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
		return nil, &usageError{fmt.Errorf("%s: the address %s must not have a query: give a token with --token-file", source, &bare)}
	}
	return u, nil
}
