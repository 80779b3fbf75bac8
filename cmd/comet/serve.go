package main

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"comet/config"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one node",
		Long: `Run one node. Nodes that share a Redis are a cluster: a message published to any
of them reaches the subscribers of all. Without a Redis address the node is
alone and keeps its messages in memory.

Every setting can come from a flag, a variable, or the file: flags win over
variables, variables over the file. 'comet config print' shows what results.`,
		Example: `  comet serve
  comet serve --redis 127.0.0.1:6379 --http-listen 127.0.0.1:8081
  COMET_REDIS_ADDRESSES=127.0.0.1:6379 comet serve --config comet.yaml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd) },
	}
	addSettings(cmd)
	return cmd
}

// openWarning is for who has not said who may do what.
const openWarning = "anyone on this machine may publish and subscribe; set auth to say who may do what"

func serve(cmd *cobra.Command) error {
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	logger, level := newLogger(cmd, &settings.Log)
	l, err := listen("http.listen", settings.HTTP.Listen)
	if err != nil {
		return err
	}
	defer l.Close() // for what fails from here on; the node closes it too
	operators, err := listenAdmin(settings.Admin.Listen)
	if err != nil {
		return err
	}
	defer operators.close() // after the node has left
	rules, err := newChannelRules(&settings.Settings)
	if err != nil {
		return err
	}
	broker, err := newBrokers(&settings.Settings, rules, logger)(cmd.Context())
	if err != nil {
		return err
	}
	if settings.Open() {
		logger.Warn(openWarning)
	}
	warnExposed(settings, nil, logger)
	warnOfDescriptors(&settings.Settings, logger)
	n, err := newNode(settings.Node, &settings.Settings, rules, broker, l, connectionLimit(1), operators.url(), logger)
	if err != nil {
		return errors.Join(err, broker.Close())
	}
	ctx, terminate := context.WithCancelCause(cmd.Context())
	defer terminate(nil)
	changes := newReloader(func() (*config.Loaded, error) { return loadSettings(cmd) }, settingsFile(cmd), settings, n, level)
	life, die := context.WithCancel(context.WithoutCancel(ctx)) // a node that leaves listens on
	var chores sync.WaitGroup
	defer chores.Wait()
	defer die()
	chores.Go(func() { changes.run(life) })
	operators.serve(adminRoutes(n, terminate, level, logger), settings.Admin.Token.Reveal(), logger)
	logger.Info("serving", "node", n.name, "url", n.url(), "admin", operators.url(), "redis", settings.Redis.Addresses)
	if err := n.run(ctx); err != nil {
		return err
	}
	logger.Info("left", "node", n.name)
	return nil
}
