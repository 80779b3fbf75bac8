package pubsub

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// KeyName stands for the draft's Key and its Owner, of any bytes and length, and
// KeySum for what the draft says: one that has the name of an earlier draft is a
// repeat of it if it has the same sum, and ErrKeyReused if not. Both are
// characters of base64url.
func (d *Draft) KeyName() string { return digest([]byte(d.Owner), []byte(d.Key)) }

// KeySum is explained at KeyName.
func (d *Draft) KeySum() string {
	if d.Tags.IsZero() {
		return digest([]byte(d.Type), d.Data)
	}
	return digest([]byte(d.Type), d.Data, d.Tags.AppendJSON(nil))
}

// digest is 22 characters that stand for some texts.
func digest(texts ...[]byte) string {
	h := sha256.New()
	for _, text := range texts {
		h.Write(binary.AppendUvarint(nil, uint64(len(text))))
		h.Write(text)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}
