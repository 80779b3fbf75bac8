package report

import (
	"strings"
	"testing"

	"comet/bench"
)

const smallTable = `messages lost: 3 (of 10 to deliver, repeated: 1, out of order: 2, channels with several orders: 1)
interrupted: these are the results so far

load      server                        custom at http://127.0.0.1:8080
          subscribers                   1 of 1 channel by short-poll every 500ms
          messages                      10 messages, flat out, 64 B each, 1 publisher
          seed                          0
          run                           1.04 s, 1 worker, comet devel
arrival   subscribers                   1 of 1
          time                          0.002 s
          rate                          500/s
publish   acknowledged                  10
          rate                          2,000/s
delivery  received                      7 of 10
          rate                          14/s
          bytes each                    1.68 MiB
          requests each                 0.429
trouble   repeated                      1
          out of order                  2
          channels with several orders  1
          of no publish of this run     4
          gaps                          1

warning: A worker was saturated.
`

const largeTable = `messages lost: 0 (of 1,500,000 to deliver)

load      server                           comet at http://127.0.0.1:8081 and 4 more
          subscribers                      100,000 of 1,000 channels by sse
          messages                         500/s for 30s, 100 B each, 8 publishers
          churn                            1% per second
          seed                             1
          run                              76.4 s, 7 workers, comet v1.0.0
arrival   subscribers                      100,000 of 100,000
          time                             40.9 s
          rate                             2,445/s
publish   acknowledged                     15,000
          rate                             500/s
          repeated by the publisher        3
delivery  received                         1,500,000 of 1,500,000
          rate                             49,833/s
          bytes each                       145 B
          requests each                    0.0201
trouble   errors: status 503               118
          errors: reset                    12
cost      server CPU per arrival           83.7 µs
          server memory per subscriber     0.742 KiB
          server CPU per delivery          7.88 µs
          server CPU while delivering      11.8 s
          store CPU per delivery           0.31 µs
          generator CPU per delivery       4.02 µs
          generator memory per subscriber  1.61 KiB
          generator load                   62% of a core per worker

latency, ms    p50   p90   p99  p99.9   max
delivery       3.2  8.06  19.2   35.3   113
publish      0.413  1.04  2.48   4.56  14.6
resume        2.17  5.46    13   23.9  76.9
`

func TestTable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		result *bench.Result
		want   string
	}{
		"small": {small(), smallTable},
		"large": {sample(), largeTable},
	} {
		var b strings.Builder
		if err := WriteTable(&b, test.result); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
}
