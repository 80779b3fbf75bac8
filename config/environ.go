package config

import (
	"regexp"
	"slices"
	"strings"
)

const envPrefix = "COMET_"

// serviceLink matches the variables that Kubernetes sets in each pod for a Service
// named comet or comet-redis (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
var serviceLink = regexp.MustCompile(`^COMET_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// readEnviron reads the COMET_* variables. An empty variable is a value for a
// setting that may be empty. For other settings, such as durations, it counts as
// not set: templates often leave variables empty.
func readEnviron(environ []string) (map[string]any, Problems) {
	vars := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	_, inKubernetes := vars["KUBERNETES_SERVICE_HOST"]

	env := map[string]any{}
	for _, s := range table {
		if value, isSet := vars[s.Env]; isSet && (value != "" || s.mayBeEmpty()) {
			env[s.Key] = given{value, s.Env}
		}
		delete(vars, s.Env)
	}
	var unknown Problems
	for name := range vars {
		if !strings.HasPrefix(name, envPrefix) || inKubernetes && serviceLink.MatchString(name) {
			continue
		}
		unknown = append(unknown, &Problem{
			Key:     name,
			Source:  "environment",
			Message: "is not a setting; " + suggest(strings.TrimPrefix(name, envPrefix), func(s Setting) string { return s.Env }),
		})
	}
	slices.SortFunc(unknown, func(a, b *Problem) int { return strings.Compare(a.Key, b.Key) })
	return env, unknown
}
