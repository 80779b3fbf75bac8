package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"comet/gateway/admit"
)

// MountedFunc serves a request of another protocol. The caller is not authenticated yet.
// An error, returned before anything was written, is answered as a problem. One with a
// method Status() int, which returns an HTTP status, is shown to the client as it is.
type MountedFunc func(w http.ResponseWriter, r *http.Request, caller *admit.Caller) error

// Mount serves another protocol at path and at everything below it, with the policy of
// the gateway: CORS, and the checks against pages of other sites. Requests with GET pass
// the same checks as those with POST, because they may publish. Call it before the
// gateway serves.
func (g *Gateway) Mount(path string, serve MountedFunc) {
	h := g.handle(route{endpoint: func(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
		if rc.policy.foreignPage(r) {
			return crossOrigin(g, w, r, rc)
		}
		return serve(w, r, &rc.Caller)
	}, admits: true})
	path = strings.TrimSuffix(path, "/")
	g.routes.Path(path).Handler(h)
	g.routes.PathPrefix(path + "/").Handler(h)
}

// Admission returns what decides about the requests of g.
func (g *Gateway) Admission() *admit.Controller { return g.admission }

// FastPolicy returns what a request of a mounted protocol is judged by that comes without
// net/http, and the header of its answer (see conn.FastResult). ok is false if the policy
// may refuse the request: net/http decides then.
func (g *Gateway) FastPolicy(r *http.Request) (rules *admit.Rules, header http.Header, ok bool) {
	p := g.policy.Load()
	if p.rebound(r) || p.protection != nil && p.protection.Check(withOwnHost(r, p.TrustedProxies)) != nil {
		return nil, nil, false
	}
	return p.rules, p.fastHeader(r, g.options.Node), true
}

// Explain returns what a client sees of an error of Admission or the hub: a status of
// HTTP, a sentence, and after how many seconds to try again; 0: not known. It counts
// reached limits.
func (g *Gateway) Explain(err error) (status int, detail string, retry int) {
	p := g.policy.Load()
	p.Limiter.Count(err)
	known := p.toProblem(err)
	return known.status, known.Detail, known.retry
}

// CountRefused counts messages that were refused before the hub saw them.
func (g *Gateway) CountRefused(messages int) { g.publishesRefused.Add(int64(messages)) }

// foreignPage reports whether a page of another site, that is not in Origins, made a
// browser send r with GET. Scripts are fetched without Origin, so Referer has to name
// the page; browsers that send Sec-Fetch-Site send it unless the page forbids it.
func (p *policy) foreignPage(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Method != http.MethodGet || site == "" || site == "same-origin" || site == "none" || slices.Contains(p.Origins, "*") {
		return false
	}
	page, err := url.Parse(r.Referer())
	return err != nil || !slices.Contains(p.Origins, page.Scheme+"://"+page.Host)
}

// mountedKinds has the kind of problem for each status of a mounted protocol's errors.
var mountedKinds = map[int]kind{
	http.StatusBadRequest:            invalidBody,
	http.StatusForbidden:             forbidden,
	http.StatusMethodNotAllowed:      methodNotAllowed,
	http.StatusRequestTimeout:        tooSlow,
	http.StatusRequestEntityTooLarge: tooLarge,
	http.StatusUnsupportedMediaType:  wrongMediaType,
}

// mountedProblem returns the problem of a mounted protocol's error with a status; nil for
// other errors.
func mountedProblem(err error) *Problem {
	status, ok := err.(interface {
		error
		Status() int
	})
	if !ok {
		return nil
	}
	return problem(mountedKinds[status.Status()], "%s", status.Error())
}
