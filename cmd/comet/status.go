package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"comet/pubsub/cluster"
)

// adminTokenVariable is the setting's own: who has it for a node has it here.
const adminTokenVariable = "COMET_ADMIN_TOKEN"

const defaultAdmin = "http://127.0.0.1:9090"

type statusOptions struct {
	admin     string
	tokenFile string
	prefix    string
	limit     int
	json      bool
}

func newStatus() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the nodes of a cluster and its busiest channels",
		Long: `Show how every node of a cluster is, and its busiest channels, as
reported by the admin listener of any node. If the node has an admin.token, give it
with --token-file or ` + adminTokenVariable + `.`,
		Example: `  comet status
  comet status --admin http://10.0.0.7:9090 --token-file admin.token
  comet status --json | jq '.nodes[].connections.streams'
  watch comet status --prefix chat/`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return status(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.admin, "admin", defaultAdmin, "address of a node's admin listener")
	f.StringVar(&o.tokenFile, "token-file", "", "file that holds admin.token (also "+adminTokenVariable+")")
	f.StringVar(&o.prefix, "prefix", "", "only channels with this prefix")
	f.IntVar(&o.limit, "limit", 10, "number of channels, 1 to 1000")
	f.BoolVar(&o.json, "json", false, "print one JSON object with nodes and channels, as the node reports them")
	_ = cmd.MarkFlagFilename("token-file") // fails only for an unknown flag
	return cmd
}

// clusterStatus is what a node reports about its cluster.
type clusterStatus struct {
	cluster.NodeList
	Channels cluster.ChannelList `json:"channels"`
}

// statusTimeout is for both answers; the first look at channels waits for the
// nodes.
const statusTimeout = 15 * time.Second

func status(cmd *cobra.Command, o *statusOptions) error {
	base, err := baseURL("--admin", o.admin, defaultAdmin)
	if err != nil {
		return err
	}
	if o.limit < 1 || o.limit > 1000 {
		return &usageError{errors.New("--limit must be a number from 1 to 1000")}
	}
	token, err := tokenFrom(o.tokenFile, adminTokenVariable)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
	defer cancel()
	var t clusterStatus
	if err := askAdmin(ctx, base.JoinPath("v1/nodes"), token, &t.NodeList); err != nil {
		return err
	}
	channels := base.JoinPath("v1/channels")
	channels.RawQuery = url.Values{"prefix": {o.prefix}, "limit": {fmt.Sprint(o.limit)}}.Encode()
	if err := askAdmin(ctx, channels, token, &t.Channels); err != nil {
		return err
	}
	if o.json {
		return writeJSON(cmd.OutOrStdout(), t)
	}
	return writeStatus(cmd.OutOrStdout(), &t)
}

// maxStatus bounds an answer, in bytes.
const maxStatus = 64 << 20

// askAdmin reads the JSON at an address of an admin listener.
func askAdmin(ctx context.Context, at *url.URL, token string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%w: is this the address of an admin listener? give it with --admin", err)
	}
	defer response.Body.Close()
	where := at.Redacted()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxStatus))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", where, err)
	case response.StatusCode == http.StatusUnauthorized && token != "":
		return fmt.Errorf("%s: the token is not the admin.token of this node: look at --token-file and %s", where, adminTokenVariable)
	case response.StatusCode == http.StatusNotFound && bytes.Contains(body, []byte("urn:comet:problem:")):
		return fmt.Errorf("%s: this is a listener for clients: give the address of an admin listener (setting admin.listen) with --admin", where)
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s: admin.token is required: give it with --token-file or %s", where, adminTokenVariable)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %.200s", where, response.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s: not an answer of an admin listener: %w", where, err)
	}
	return nil
}

// writeStatus writes two tables.
func writeStatus(out io.Writer, t *clusterStatus) error {
	if len(t.Nodes) == 0 {
		_, err := fmt.Fprintln(out, "No node has reported yet. Nodes report every few seconds: try again soon.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tSUBSCRIBERS\tDELIVERIES/S\tCPU\tMEMORY\tRELAY\tUP\tVERSION\tURL")
	for _, raw := range t.Nodes {
		r, err := cluster.ParseReport(raw)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%s\t%d MiB\t%s\t%s\t%s\t%s\n", printable(r.Name), stateOf(&r), r.Connections.Streams, r.Deliveries.PerSecond,
			known(r.CPUPercent, "%.1f %%"), max(r.RSS, r.Heap)>>20, known(r.RelayDelayMS, "%.2f ms"),
			r.Time.Sub(r.Started).Truncate(time.Second), printable(r.Version), printable(r.URL))
	}
	c, least := &t.Channels, ""
	if !c.Complete {
		least = "at least "
	}
	fmt.Fprintf(w, "\nCHANNEL\tSUBSCRIBERS\tNODES\n")
	for _, a := range c.Channels {
		fmt.Fprintf(w, "%s\t%s%d\t%d\n", printable(a.Channel), least, a.Subscribers, a.Nodes)
	}
	if more := c.Found - len(c.Channels); more > 0 {
		fmt.Fprintf(w, "and %s%d more\n", least, more)
	}
	return w.Flush()
}

func stateOf(r *cluster.Report) string {
	switch {
	case r.Draining:
		return "draining"
	case r.Ready:
		return "ready"
	}
	return "not ready"
}

// known formats x, or a dash for what a node does not know.
func known(x *float64, format string) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf(format, *x)
}
