package cometjs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"comet/internal/testenv"
)

// nginxConfig buffers and compresses, whatever an answer asks for.
const nginxConfig = `daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
	access_log off;
	gzip on; gzip_proxied any; gzip_min_length 1; gzip_types text/event-stream;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server {
		listen %[2]s;
		location / { proxy_pass http://%[3]s; proxy_http_version 1.1; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout 120s; }
	}
}
`

// behindNginx is the address of an nginx that buffers, before a node.
func behindNginx(t *testing.T, w *cluster) string {
	t.Helper()
	program := testenv.Program(t, "nginx")
	dir, address := t.TempDir(), freeAddress(t)
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, address, w.nodes[1].address), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-p", dir, "-c", config)
	command.Stderr = t.Output()
	ended, err := testenv.StartProcess(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})
	return "http://" + address
}
