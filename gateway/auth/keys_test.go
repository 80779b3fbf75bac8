package auth

import (
	"slices"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	all := Permissions{Publish: mustPatterns(t, "**")}
	keys, err := NewKeys(KeyOptions{
		Secrets:     []string{"a:" + keyText, "b:" + otherText, "a:" + secretText, "a:" + secretText},
		Permissions: map[string]Permissions{"a": all, "b": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{keyText: "a", secretText: "a", otherText: "b"} {
		if p := keys.find(secret); p == nil || p.Key != want || p.Credential() != Key || (p.MayPublish("x") == nil) != (want == "a") {
			t.Errorf("got %+v, want %s", p, want)
		}
	}
	for _, wrong := range []string{"", keyText[1:], keyText + "0", strings.ToUpper(keyText), "a:" + keyText} {
		if p := keys.find(wrong); p != nil {
			t.Errorf("%q is of %+v", wrong, p)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	for want, o := range map[string]KeyOptions{
		"key 2 must be name:secret":               {Secrets: []string{"a:" + keyText, secretText}},
		"key 1 must be name:secret, the name":     {Secrets: []string{"a b:" + secretText}},
		`key 1 ("a") must have a secret of 32`:    {Secrets: []string{"a:" + keyText[:31]}},
		`key 1 ("a") must have a secret of 32 to`: {Secrets: []string{"a:" + keyText + " x"}},
		`key "c" has no permissions`:              {Secrets: []string{"c:" + keyText}},
		`key "d" has permissions but no secret`:   {Secrets: []string{"a:" + keyText}, Permissions: map[string]Permissions{"a": {}, "d": {}}},
		`keys "a" and "d" have the same secret`:   {Secrets: []string{"a:" + keyText, "d:" + keyText}, Permissions: map[string]Permissions{"a": {}, "d": {}}},
	} {
		if o.Permissions == nil {
			o.Permissions = map[string]Permissions{"a": {}}
		}
		keys, err := NewKeys(o)
		if err == nil || keys != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
			continue
		}
		wantSilent(t, err.Error())
	}
}

// Without a colon, the name of a permission may be the secret.
func TestMalformedKeyIsNotShown(t *testing.T) {
	_, err := NewKeys(KeyOptions{Secrets: []string{keyText}, Permissions: map[string]Permissions{keyText: {}}})
	if err == nil {
		t.Fatal("no error")
	}
	wantSilent(t, err.Error(), keyText)
}

func TestReadKeys(t *testing.T) {
	got, err := ReadKeys(writeFile(t, "# keys\n\na:1\r\n  b:2  \n#c:3"))
	if want := []string{"a:1", "b:2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := ReadKeys("gone"); err == nil {
		t.Error("a file that is gone is no error")
	}
}
