package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"comet/config"
	"comet/internal/server"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one node",
		Long: `Run one node. Nodes that share a Redis are a cluster: a message published to any
of them reaches the subscribers of all. Without a Redis address the node is
alone and keeps its messages in memory.

Every setting can come from a flag, a variable, or the file: flags override
variables, and variables override the file. 'comet config print' shows the result.`,
		Example: `  comet serve
  comet serve --redis 127.0.0.1:6379 --http-listen 127.0.0.1:8081
  COMET_REDIS_ADDRESSES=127.0.0.1:6379 comet serve --config comet.yaml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd) },
	}
	addSettings(cmd)
	return cmd
}

func serve(cmd *cobra.Command) error {
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	logger, level := server.NewLogger(cmd.ErrOrStderr(), &settings.Log)
	n, err := server.New(cmd.Context(), settings, server.Options{
		Version: version, Revision: revision(), Logger: logger, Level: level,
		Load: func() (*config.Loaded, error) { return loadSettings(cmd) }, File: settingsFile(cmd),
	})
	if err != nil {
		return err
	}
	defer reloadAtHangups(n)()
	return n.Run(cmd.Context())
}

// reloadAtHangups has n reload at each SIGHUP, until stop. Then SIGHUP ends the
// process again.
func reloadAtHangups(n *server.Node) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	stopped := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-hangups:
				n.Reload("SIGHUP")
			case <-stopped:
				return
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		close(stopped)
		running.Wait()
	}
}
