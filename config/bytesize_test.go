package config

import "testing"

var byteSizes = map[string]ByteSize{
	"0":       0,
	"1":       1,
	"1B":      1,
	"65536":   65536,
	"64KiB":   65536,
	"64 kib":  65536,
	"64KB":    64000,
	"1MiB":    1 << 20,
	"1mb":     1e6,
	"1024KiB": 1 << 20,
}

var notByteSizes = []string{"", "KiB", "-1", "+1", "1.5MiB", "64K", "64Ki", "1GiB", "0x10", "1_000", " 1", "1 ", "9223372036854775807KiB", "1KiBKiB"}

func TestParseByteSize(t *testing.T) {
	for text, want := range byteSizes {
		if got, err := ParseByteSize(text); got != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range notByteSizes {
		if got, err := ParseByteSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestByteSizeString(t *testing.T) {
	for n, want := range map[ByteSize]string{0: "0B", 1: "1B", 1000: "1000B", 1024: "1KiB", 1536: "1536B", 65536: "64KiB", 1 << 20: "1MiB", 1 << 30: "1024MiB"} {
		if got := n.String(); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func FuzzParseByteSize(f *testing.F) {
	for text := range byteSizes {
		f.Add(text)
	}
	for _, text := range notByteSizes {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseByteSize(text)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("%q is %d bytes", text, n)
		}
		if again, err := ParseByteSize(n.String()); again != n || err != nil {
			t.Fatalf("%q is %d, printed as %s, read back as %d, %v", text, n, n, again, err)
		}
	})
}
