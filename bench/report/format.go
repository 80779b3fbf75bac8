package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"comet/bench"
)

// Line is a second of a run in one line, as a progress report: connected
// subscribers, deliveries per second, their latency, and messages missing so far.
func Line(s *bench.Second) string {
	text := count(s.Connected) + " connected"
	if s.Phase == "deliver" || s.Phase == "finish" {
		text += fmt.Sprintf(", %s/s", count(s.Deliveries))
		if s.P99 > 0 {
			text += fmt.Sprintf(", p99 %s ms", number(s.P99))
		}
		text += fmt.Sprintf(", %s missing", count(s.Missing))
	}
	if s.Errors > 0 {
		text += ", " + plural(s.Errors, "error")
	}
	return text
}

// count has a comma between thousands.
func count[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// plural is n things.
func plural[N int | int64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// number has three digits that say something, or all digits before the point:
// 0.00123, 1.5, 31.2, 12,345. Zeros at the end of a fraction are left out.
func number(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(x)))))
	if decimals == 0 || math.Abs(x) >= 999.5 {
		return count(int64(math.Round(x)))
	}
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// sizeText is a size with its unit, in bytes as long as that is short.
func sizeText(n float64) string {
	switch {
	case n >= 1<<30:
		return number(n/(1<<30)) + " GiB"
	case n >= 1<<20:
		return number(n/(1<<20)) + " MiB"
	case n >= 10<<10:
		return number(n/(1<<10)) + " KiB"
	}
	return number(n) + " B"
}

func seconds(s float64) string   { return number(s) + " s" }
func perSecond(x float64) string { return number(x) + "/s" }
