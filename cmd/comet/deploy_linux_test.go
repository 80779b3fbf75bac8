package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"comet/client"
	"comet/config"
	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// deployFile reads a file of the folder deploy.
func deployFile(t testing.TB, name string) string {
	t.Helper()
	return readFile(t, filepath.Join(module, "deploy", name))
}

// TestDeployedSettings: deploy/comet.yaml is a valid file of settings.
func TestDeployedSettings(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(config.Source{File: filepath.Join(module, "deploy", "comet.yaml")}); err != nil {
		t.Error(err)
	}
}

// TestStopTimes: systemd and Compose wait longer than a node needs to end by itself.
func TestStopTimes(t *testing.T) {
	t.Parallel()
	defaults, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	const atEnd = 5 * time.Second // after drain.delay and drain.spread
	for file, pattern := range map[string]string{"comet.service": `TimeoutStopSec=(\S+)`, "compose.yaml": `stop_grace_period: (\S+)`} {
		found := regexp.MustCompile(pattern).FindStringSubmatch(deployFile(t, file))
		if found == nil {
			t.Fatalf("%s has no %s", file, pattern)
		}
		d, err := time.ParseDuration(found[1])
		if least := defaults.Drain.Delay + defaults.Drain.Spread + atEnd; err != nil || d <= least {
			t.Errorf("%s: %s (%v), want more than %v", file, found[0], err, least)
		}
	}
}

// TestUnit has systemd check the unit, and judge what it may do.
func TestUnit(t *testing.T) {
	t.Parallel()
	analyze := testenv.Program(t, "systemd-analyze")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "comet.service")
	servertest.WriteFile(t, unit, []byte(replaceOnce(t, deployFile(t, "comet.service"), "/usr/local/bin/comet", self)))
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		{"security", "--offline=true", "--threshold=25", unit}, // of 100, the most exposed
	} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// TestCompose starts the nodes with the settings of compose.yaml and HAProxy with its
// file, on a real Redis, and restarts each node under a subscriber.
func TestCompose(t *testing.T) {
	t.Parallel()
	haproxy := testenv.Program(t, "haproxy")
	var project struct {
		Services map[string]struct{ Environment map[string]string }
	}
	if err := yaml.Unmarshal([]byte(deployFile(t, "compose.yaml")), &project); err != nil {
		t.Fatal(err)
	}
	redis, front := redistest.Start(t), freeAddress(t)
	file := replaceOnce(t, deployFile(t, "haproxy.cfg"), "bind :8080", "bind "+front)
	secrets := map[string]string{"COMET_ADMIN_TOKEN": servertest.AdminToken, "COMET_AUTH_JWT_SECRET": servertest.JWTSecret, "COMET_AUTH_KEYS": "backend:" + servertest.BackendKey}
	required := regexp.MustCompile(`^\$\{(\w+):\?[^}]+\}$`)
	environ := map[string][]string{}
	admin := map[string]string{}
	for _, name := range []string{"comet-1", "comet-2"} {
		settings := project.Services[name].Environment
		for key, value := range settings {
			if secret := required.FindStringSubmatch(value); secret != nil {
				settings[key] = secrets[secret[1]]
			}
		}
		public := freeAddress(t)
		admin[name] = freeAddress(t)
		for key, value := range map[string]string{
			"COMET_HTTP_LISTEN": public, "COMET_ADMIN_LISTEN": admin[name], "COMET_REDIS_ADDRESSES": redis.Addr(), "COMET_HTTP_TRUSTED_PROXIES": "127.0.0.1",
		} {
			if settings[key] == "" {
				t.Errorf("%s has no %s", name, key)
			}
			settings[key] = value
		}
		for key, value := range settings {
			environ[name] = append(environ[name], key+"="+value)
		}
		_, port, _ := strings.Cut(admin[name], ":")
		file = replaceOnce(t, file, name+":8080 port 9090", public+" port "+port)
	}
	run := func(name string) *process {
		p := setup{environ: environ[name]}.start(t, "serve", "--drain-delay", "3s", "--drain-spread", "0s") // HAProxy notices in 2 s
		p.awaitErr(`msg=serving node=` + name)
		return p
	}
	nodes := map[string]*process{"comet-1": run("comet-1"), "comet-2": run("comet-2")}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	servertest.WriteFile(t, path, []byte(file))
	runProxy(t, haproxy, []string{"-db", "-f", path})
	ready := func(node string) {
		awaitAnswer(t, "http://"+admin[node]+"/readyz")
		awaitAnswerOf(t, "http://"+front+"/v1/poll?channel=x&wait=0s&access_token="+servertest.Token(t, "alice", 0), node)
	}
	ready("comet-1")
	ready("comet-2")

	s := subscribeVia(t, "http://"+front)
	s.relays("before")
	for _, name := range []string{"comet-1", "comet-2"} {
		nodes[name].wantLeave(syscall.SIGTERM)
		s.relays("without " + name)
		nodes[name] = run(name)
		ready(name)
	}
	s.relays("after")
}

// TestCaddy runs Caddy with deploy/Caddyfile in front of two nodes, and ends one.
func TestCaddy(t *testing.T) {
	t.Parallel()
	caddy := testenv.Program(t, "caddy")
	redis := redistest.Start(t)
	front, admin := freeAddress(t), freeAddress(t)
	_, adminPort, _ := strings.Cut(admin, ":")
	text := "{\n\tadmin off\n\tgrace_period 1s\n}\n" + deployFile(t, "Caddyfile")
	text = replaceOnce(t, text, "\npush.example {", "\nhttp://"+front+" {")
	text = replaceOnce(t, text, "health_port 9090", "health_port "+adminPort)
	var nodes []*process
	for i := 1; i <= 2; i++ {
		_, port, _ := strings.Cut(freeAddress(t), ":")
		host := fmt.Sprint("127.0.0.", i) // the port for health checks is that of all nodes
		p := setup{environ: []string{"COMET_ADMIN_TOKEN=" + servertest.AdminToken}}.start(t, append([]string{"serve", "--redis", redis.Addr(), "--node", fmt.Sprint("comet-", i),
			"--http-listen", host + ":" + port, "--admin-listen", host + ":" + adminPort, "--drain-delay", "3s", "--drain-spread", "0s"}, servertest.GuardedFlags(t)...)...)
		p.awaitErr(`msg=serving`)
		nodes = append(nodes, p)
		text = replaceOnce(t, text, fmt.Sprintf("comet-%d:8080", i), host+":"+port)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "Caddyfile")
	servertest.WriteFile(t, file, []byte(text))
	t.Run("validate", func(t *testing.T) {
		c := exec.Command(caddy, "validate", "--adapter", "caddyfile", "--config", filepath.Join(module, "deploy", "Caddyfile"))
		c.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	runProxy(t, "/usr/bin/env", []string{"HOME=" + folder, "XDG_DATA_HOME=" + folder, "XDG_CONFIG_HOME=" + folder, caddy, "run", "--adapter", "caddyfile", "--config", file})
	awaitAnswerOf(t, "http://"+front+"/v1/poll?channel=x&wait=0s&access_token="+servertest.Token(t, "alice", 0), "comet-1")
	s := subscribeVia(t, "http://"+front)
	s.relays("before")
	nodes[0].wantLeave(syscall.SIGTERM)
	s.relays("after")
}

// relayed is a subscriber and a publisher behind a load balancer.
type relayed struct {
	t      testing.TB
	ctx    context.Context
	back   *client.Client
	events chan string // "ready", or the data of a message
}

// subscribeVia subscribes with a token, and returns when the stream is open.
func subscribeVia(t testing.TB, url string) *relayed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	as := func(credential string) *client.Client {
		c, err := client.New(client.Options{URLs: []string{url}, Token: func(context.Context) (string, error) { return credential, nil }})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := &relayed{t: t, ctx: ctx, back: as(servertest.BackendKey), events: make(chan string)}
	user := as(servertest.Token(t, "alice", 0))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e, err := range user.Subscribe(ctx, client.SubscribeOptions{Channels: []string{"news"}}) {
			text := ""
			switch {
			case err != nil:
				text = "error: " + err.Error()
			case e.Kind == wire.KindGap:
				text = "gap: " + string(e.Gap.Reason)
			case e.Kind == wire.KindMessage:
				text = string(e.Message.Data)
			case e.Kind == wire.KindReady:
				text = "ready"
			default:
				continue
			}
			select {
			case s.events <- text:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	s.want("ready")
	return s
}

// relays publishes text, and wants the subscriber to get it next.
func (s *relayed) relays(text string) {
	s.t.Helper()
	data, err := json.Marshal(text)
	if err == nil {
		_, err = s.back.Publish(s.ctx, pubsub.Draft{Channel: "news", Data: data})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.want(string(data))
}

// want waits for an event. The subscriber may have reconnected before it.
func (s *relayed) want(event string) {
	s.t.Helper()
	for {
		select {
		case got := <-s.events:
			if got == event {
				return
			}
			if got != "ready" {
				s.t.Fatalf("the subscriber got %s, want %s", got, event)
			}
		case <-s.ctx.Done():
			s.t.Fatalf("the subscriber did not get %s", event)
		}
	}
}

// TestTraefik: the files of Traefik have only members of the names and types that
// Traefik 3 has, and fit each other. No Traefik reads them.
func TestTraefik(t *testing.T) {
	t.Parallel()
	var static struct {
		EntryPoints map[string]struct {
			Address   string
			Transport struct {
				RespondingTimeouts struct {
					ReadTimeout  time.Duration `yaml:"readTimeout"`
					WriteTimeout time.Duration `yaml:"writeTimeout"`
					IdleTimeout  time.Duration `yaml:"idleTimeout"`
				} `yaml:"respondingTimeouts"`
			}
		} `yaml:"entryPoints"`
		Providers             struct{ File struct{ Filename string } }
		CertificatesResolvers map[string]struct {
			ACME struct {
				Email, Storage string
				TLSChallenge   struct{} `yaml:"tlsChallenge"`
			}
		} `yaml:"certificatesResolvers"`
	}
	var dynamic struct {
		HTTP struct {
			Routers map[string]struct {
				EntryPoints   []string `yaml:"entryPoints"`
				Rule, Service string
				Middlewares   []string
				TLS           struct {
					CertResolver string `yaml:"certResolver"`
				}
			}
			Middlewares map[string]struct {
				Headers struct {
					CustomRequestHeaders map[string]string `yaml:"customRequestHeaders"`
				}
			}
			Services map[string]struct {
				LoadBalancer struct {
					PassHostHeader bool `yaml:"passHostHeader"`
					Servers        []struct{ URL string }
					HealthCheck    struct {
						Path              string
						Port              int
						Interval, Timeout time.Duration
					} `yaml:"healthCheck"`
				} `yaml:"loadBalancer"`
			}
		}
	}
	for name, into := range map[string]any{"traefik/traefik.yaml": &static, "traefik/comet.yaml": &dynamic} {
		d := yaml.NewDecoder(strings.NewReader(deployFile(t, name)))
		d.KnownFields(true)
		if err := d.Decode(into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	r := dynamic.HTTP.Routers["comet"]
	for _, name := range r.EntryPoints {
		if e, ok := static.EntryPoints[name]; !ok || e.Transport.RespondingTimeouts.ReadTimeout+e.Transport.RespondingTimeouts.WriteTimeout != 0 {
			t.Errorf("entry point %s: %+v, want one without a timeout for streams", name, e)
		}
	}
	for _, name := range r.Middlewares {
		if _, ok := dynamic.HTTP.Middlewares[name]; !ok {
			t.Errorf("no middleware %s", name)
		}
	}
	if _, ok := static.CertificatesResolvers[r.TLS.CertResolver]; !ok || len(r.EntryPoints) == 0 || len(dynamic.HTTP.Services[r.Service].LoadBalancer.Servers) == 0 {
		t.Errorf("the router is %+v, without entry points, certificates or servers", r)
	}
}

// TestInstall installs the program as `make install` does, below a folder of the test.
func TestInstall(t *testing.T) {
	t.Parallel()
	tool := testenv.Program(t, "make")
	folder := t.TempDir()
	c := exec.Command(tool, "install", "DESTDIR="+folder, "PREFIX=/opt/comet")
	c.Dir = module
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	installed := filepath.Join(folder, "opt", "comet", "bin", "comet")
	out, err := exec.Command(installed, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "comet ") {
		t.Errorf("%s: %v", out, err)
	}
	version := strings.Fields(string(out) + " ?")[1]
	if compose := deployFile(t, "compose.yaml"); !strings.Contains(compose, "/comet:"+strings.TrimSuffix(version, ",")+" ") {
		t.Errorf("compose.yaml does not name the image of version %s", version)
	}
	if readme := deployFile(t, "README.md"); !strings.Contains(readme, "comet-"+strings.TrimSuffix(version, ",")+".tar") {
		t.Errorf("README.md does not name the image of version %s", version)
	}
}
