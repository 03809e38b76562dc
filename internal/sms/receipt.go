package sms

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/texts"
)

// IDs says how a centre writes in a receipt the id that it gave in its answer. Centres differ, and "1234" alone does not
// tell which it is, so it is configured.
type IDs int

// The ways there are. Under the latter two, ids that the client returns are decimal without leading zeros.
const (
	IDsAlike           IDs = iota // the same characters
	IDsAnswerHex                  // hexadecimal in the answer, decimal in the receipt's text
	IDsReceiptHex                 // decimal in the answer, hexadecimal in the receipt's text
	idBase10, idBase16 = 10, 16
)

// answered is the client's form of an id in a submit_sm_resp, which is also the one in receipted_message_id.
func (i IDs) answered(id string) string {
	id = printable(id)
	switch i {
	case IDsAnswerHex:
		return decimal(id, idBase16)
	case IDsReceiptHex:
		return decimal(id, idBase10)
	default:
		return id
	}
}

// receipted is the client's form of an id in a receipt's text.
func (i IDs) receipted(id string) string {
	id = printable(id)
	switch i {
	case IDsAnswerHex:
		return decimal(id, idBase10)
	case IDsReceiptHex:
		return decimal(id, idBase16)
	default:
		return id
	}
}

// printable quotes an id that is not plain ASCII: a database refuses some bytes, and with them all that is written together.
func printable(id string) string {
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return strconv.QuoteToASCII(id)
	}
	return id
}

const idDigitsMax = 64 // a message_id has at most 64 octets

func decimal(id string, base int) string {
	n, ok := new(big.Int), false
	if len(id) <= idDigitsMax {
		n, ok = n.SetString(id, base)
	}
	if !ok {
		return id
	}
	return n.String()
}

// receiptText is what the body of a receipt says, in the form of SMPP 3.4 Appendix B.
type receiptText struct{ ID, Status string }

// parseReceiptText finds id and stat in "id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…". Centres leave
// fields out and vary the case; what stands behind "text:" is a person's and is not looked at.
func parseReceiptText(s string) receiptText {
	lower := strings.ToLower(s) // the same length: a receipt is ASCII up to "text:"
	if len(lower) != len(s) {
		return receiptText{}
	}
	if i := strings.Index(lower, "text:"); i >= 0 {
		s, lower = s[:i], lower[:i]
	}
	return receiptText{ID: receiptField(s, lower, "id:"), Status: statusWord(receiptField(s, lower, "stat:"))}
}

const statusLettersMax = 16 // the standard's have seven

// statusWord is a status in capitals; what cannot be one is none.
func statusWord(s string) string {
	word := strings.ToUpper(s)
	if len(word) > statusLettersMax || strings.ContainsFunc(word, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return ""
	}
	return word
}

func receiptField(s, lower, key string) string {
	for at := 0; ; {
		i := strings.Index(lower[at:], key)
		if i < 0 {
			return ""
		}
		at += i
		if at == 0 || lower[at-1] == ' ' {
			value, _, _ := strings.Cut(s[at+len(key):], " ")
			return value
		}
		at += len(key)
	}
}

// The values of message_state (SMPP 3.4 §5.2.28), as a receipt's text writes them.
var messageStates = map[byte]string{
	1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN", 8: "REJECTD",
}

// final holds the statuses after which nothing comes. A word of a centre's own is not final: better to wait for the text's
// deadline than to send again what is on its way.
var final = map[string]bool{
	"DELIVRD": true, "EXPIRED": true, "DELETED": true, "UNDELIV": true, "UNKNOWN": true, "REJECTD": true,
}

const (
	esmType         = 0x3C // the bits of esm_class that say what a deliver_sm is
	esmReceipt      = 0x04
	esmIntermediate = 0x20
)

// readReceipt tells whether a deliver_sm is a receipt, and what it says. At is left to the caller. The centre must mark it or
// name the message in a parameter: a text alone is no receipt, because anybody can send one that looks like it.
func (i IDs) readReceipt(p *pdu.DeliverSM) (texts.Receipt, bool) {
	said := parseReceiptText(messageText(p))
	kind := p.EsmClass & esmType
	tlv, named := p.OptionalParameters[pdu.TagReceiptedMessageID]
	if kind != esmReceipt && kind != esmIntermediate && !named {
		return texts.Receipt{}, false
	}
	r := texts.Receipt{MessageID: i.receipted(said.ID), Status: said.Status}
	if named {
		r.MessageID = i.answered(tlv.String())
	}
	if state := p.OptionalParameters[pdu.TagMessageStateOption].Data; r.Status == "" && len(state) == 1 {
		r.Status = messageStates[state[0]]
	}
	r.Final = final[r.Status] && kind != esmIntermediate
	r.Delivered = r.Final && r.Status == "DELIVRD"
	return r, true
}

// messageText is the text of a deliver_sm, from the body or, when that is empty, from message_payload.
func messageText(p *pdu.DeliverSM) string {
	coding := byte(CodingGSM)
	if e := p.Message.Encoding(); e != nil {
		coding = e.DataCoding()
	}
	body, _ := p.Message.GetMessageData()
	if payload, ok := p.OptionalParameters[pdu.TagMessagePayload]; ok && len(body) == 0 {
		body = payload.Data
		if skip := headerLength(body); p.EsmClass&esmUDHI != 0 && skip <= len(body) {
			body = body[skip:]
		}
	}
	return Decode(coding, body)
}

// headerLength is the length of a user data header with its own length octet.
func headerLength(body []byte) int {
	if len(body) == 0 {
		return 0
	}
	return int(body[0]) + 1
}

// dispatch hands a delivery to its callback, which acknowledges it.
func (c *Client) dispatch(p *pdu.DeliverSM, acknowledge func()) {
	r, ok := c.config.IDs.readReceipt(p)
	switch {
	case ok && r.MessageID == "":
		c.log.Warn("a receipt without a message id", "status", r.Status)
		acknowledge()
	case ok:
		r.At = c.clock.Now()
		c.onReceipt(r, acknowledge)
	default:
		c.onMessage(plus(p.SourceAddr), plus(p.DestAddr), messageText(p))
		acknowledge()
	}
}

// plus writes an international address with its plus sign.
func plus(a pdu.Address) string {
	if a.Ton() == international && !strings.HasPrefix(a.Address(), "+") {
		return "+" + a.Address()
	}
	return a.Address()
}
