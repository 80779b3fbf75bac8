//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tools are the programs that Comet does not build.
type tools struct {
	redis, nginx string
	module       string // Nchan, a dynamic module of nginx
}

// findTools returns an error that names the missing tools and how to install them.
func findTools() (t tools, err error) {
	var missing []string
	find := func(what string, paths ...string) string {
		for _, path := range paths {
			if found, err := exec.LookPath(path); err == nil {
				return found
			}
			if _, err := os.Stat(path); err == nil && filepath.IsAbs(path) {
				return path
			}
		}
		missing = append(missing, what)
		return ""
	}
	t.redis = find("redis-server", "redis-server")
	t.nginx = find("nginx", "nginx", "/usr/sbin/nginx") // Debian's path, which is not in every PATH
	t.module = find("the Nchan module of nginx", "/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/lib64/nginx/modules/ngx_nchan_module.so")
	if len(missing) > 0 {
		return t, errors.New(strings.Join(missing, ", ") + " not found. Debian, Ubuntu: apt-get install --no-install-recommends " +
			"redis-server nginx libnginx-mod-nchan (and `systemctl disable --now nginx redis-server`: comparison starts its own)")
	}
	return t, nil
}

// nginxConfig has %s and %d for: module, user line, descriptor limit, files'
// directory, worker connections, Redis, address.
//
// nchan_redis_pass must be in each location: at a level above, Nchan 1.3.6
// silently ignores it and stays in memory (lab.probe checks it each time, in
// Redis).
const nginxConfig = `load_module %[1]s;
%[2]s
worker_processes 2;
worker_rlimit_nofile %[3]d;
daemon off;
pid %[4]s/nginx.pid;
error_log stderr warn;
events { worker_connections %[3]d; }
http {
  access_log off;
  client_body_temp_path %[4]s/body;
  proxy_temp_path %[4]s/proxy;
  fastcgi_temp_path %[4]s/fastcgi;
  uwsgi_temp_path %[4]s/uwsgi;
  scgi_temp_path %[4]s/scgi;
  keepalive_requests 1000000000;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 1h;
  upstream redis {
    nchan_redis_server redis://%[5]s;
    nchan_redis_storage_mode distributed;
  }
  server {
    listen %[6]s backlog=4096;
    location = /publish { nchan_publisher; nchan_channel_id $arg_id; nchan_redis_pass redis; }
    location = /stream { nchan_subscriber eventsource; nchan_channel_id $arg_id; nchan_redis_pass redis; }
    location = /poll { nchan_subscriber longpoll; nchan_channel_id $arg_id; nchan_redis_pass redis; }
  }
}
`

// startNginx starts nginx with Nchan: a master and two workers.
func (l *lab) startNginx(address netip.AddrPort) (*process, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("read the descriptor limit: %w", err)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // or the workers could not be measured, nor reach our files
	}
	path := filepath.Join(l.dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, l.nginx.module, user, min(limit.Max, 1<<20), l.dir, l.redisAddr, address)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return startProcess(filepath.Join(l.dir, "nginx.log"), l.nginx.nginx, "-e", "stderr", "-p", l.dir, "-c", path)
}
