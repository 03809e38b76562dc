package apps

import (
	"strings"
	"time"

	"untether/internal/phone"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

// shape is how one kind of app keeps its users: its tables, how it writes a number and how it writes a date. Real apps
// agree on none of the three.
type shape struct {
	schema  string
	inserts []insert
	find    string // $1: JSON list of numbers as this shape writes them → number, account, registered, verified
	touch   string // $1: when last used, $2: account
	number  func(phone.Number) string
	write   func(tenure.Mark) any // a zero mark becomes the shape's "not known"
	read    func(any) tenure.Mark
}

type insert struct {
	sql  string
	args func(s shape, a people.Account) []any
}

// users: text everywhere, E.164, UTC.
var users = shape{
	schema: `CREATE TABLE users (id TEXT PRIMARY KEY, nickname TEXT NOT NULL, phone TEXT, phone_verified_at TEXT, created_at TEXT,
		last_login_at TEXT); CREATE INDEX users_phone ON users (phone);`,
	inserts: []insert{{`INSERT INTO users (id, nickname, phone, phone_verified_at, created_at, last_login_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		func(s shape, a people.Account) []any {
			return []any{a.ID, a.Nickname, s.number(a.Number), s.write(a.Verified), s.write(a.Registered), s.write(tenure.Instant(a.LastUsed))}
		}}},
	find: `SELECT phone, id, created_at, phone_verified_at FROM users
		WHERE phone IN (SELECT value FROM json_each($1)) ORDER BY phone, id`,
	touch:  `UPDATE users SET last_login_at = $1 WHERE id = $2`,
	number: phone.Number.E164,
	write:  writeText("2006-01-02T15:04:05.000Z", time.UTC),
	read:   readText("2006-01-02T15:04:05.000Z", time.UTC, false),
}

// tAccount: national numbers, milliseconds since 1970, 0 for what is not known.
var tAccount = shape{
	schema: `CREATE TABLE t_account (uid INTEGER PRIMARY KEY, nick TEXT NOT NULL, mobile TEXT, reg_time INTEGER NOT NULL,
		bind_time INTEGER NOT NULL, last_login INTEGER NOT NULL); CREATE INDEX idx_mobile ON t_account (mobile);`,
	inserts: []insert{{`INSERT INTO t_account (uid, nick, mobile, reg_time, bind_time, last_login) VALUES ($1, $2, $3, $4, $5, $6)`,
		func(s shape, a people.Account) []any {
			return []any{a.ID, a.Nickname, s.number(a.Number), s.write(a.Registered), s.write(a.Verified), s.write(tenure.Instant(a.LastUsed))}
		}}},
	find: `SELECT mobile, CAST(uid AS TEXT), reg_time, bind_time FROM t_account
		WHERE mobile IN (SELECT value FROM json_each($1)) ORDER BY mobile, uid`,
	touch:  `UPDATE t_account SET last_login = $1 WHERE uid = $2`,
	number: func(n phone.Number) string { return strings.TrimPrefix(n.E164(), "+86") },
	write:  writeMillis,
	read:   readMillis,
}

// member: area code and number with a dash, Beijing time without saying so.
var member = shape{
	schema: `CREATE TABLE member (member_no TEXT PRIMARY KEY, member_nick TEXT NOT NULL, mobile_phone TEXT, gmt_create TEXT,
		gmt_mobile_verified TEXT, gmt_last_login TEXT); CREATE INDEX idx_mobile_phone ON member (mobile_phone);`,
	inserts: []insert{{`INSERT INTO member (member_no, member_nick, mobile_phone, gmt_create, gmt_mobile_verified, gmt_last_login)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		func(s shape, a people.Account) []any {
			return []any{a.ID, a.Nickname, s.number(a.Number), s.write(a.Registered), s.write(a.Verified), s.write(tenure.Instant(a.LastUsed))}
		}}},
	find: `SELECT mobile_phone, member_no, gmt_create, gmt_mobile_verified FROM member
		WHERE mobile_phone IN (SELECT value FROM json_each($1)) ORDER BY mobile_phone, member_no`,
	touch:  `UPDATE member SET gmt_last_login = $1 WHERE member_no = $2`,
	number: func(n phone.Number) string { return "86-" + strings.TrimPrefix(n.E164(), "+86") },
	write:  writeText("2006-01-02 15:04:05.000", people.Zone),
	read:   readText("2006-01-02 15:04:05.000", people.Zone, false),
}

// customer: the number in a table of its own, dialled the international way.
var customer = shape{
	schema: `CREATE TABLE customer (pin TEXT PRIMARY KEY, display_name TEXT NOT NULL, created_ms INTEGER NOT NULL, last_visit_ms INTEGER NOT NULL);
		CREATE TABLE customer_phone (pin TEXT NOT NULL REFERENCES customer (pin), msisdn TEXT NOT NULL, confirmed_ms INTEGER NOT NULL,
		PRIMARY KEY (msisdn, pin)) WITHOUT ROWID;`,
	inserts: []insert{
		{`INSERT INTO customer (pin, display_name, created_ms, last_visit_ms) VALUES ($1, $2, $3, $4)`,
			func(s shape, a people.Account) []any {
				return []any{a.ID, a.Nickname, s.write(a.Registered), s.write(tenure.Instant(a.LastUsed))}
			}},
		{`INSERT INTO customer_phone (pin, msisdn, confirmed_ms) VALUES ($1, $2, $3)`,
			func(s shape, a people.Account) []any { return []any{a.ID, s.number(a.Number), s.write(a.Verified)} }},
	},
	find: `SELECT p.msisdn, c.pin, c.created_ms, p.confirmed_ms FROM customer_phone p JOIN customer c ON c.pin = p.pin
		WHERE p.msisdn IN (SELECT value FROM json_each($1)) ORDER BY p.msisdn, c.pin`,
	touch:  `UPDATE customer SET last_visit_ms = $1 WHERE pin = $2`,
	number: func(n phone.Number) string { return "00" + strings.TrimPrefix(n.E164(), "+") },
	write:  writeMillis,
	read:   readMillis,
}

// passportUser: nothing finer than days.
var passportUser = shape{
	schema: `CREATE TABLE passport_user (user_id TEXT PRIMARY KEY, user_name TEXT NOT NULL, tel TEXT, reg_date TEXT, tel_check_date TEXT,
		last_date TEXT); CREATE INDEX idx_tel ON passport_user (tel);`,
	inserts: []insert{{`INSERT INTO passport_user (user_id, user_name, tel, reg_date, tel_check_date, last_date) VALUES ($1, $2, $3, $4, $5, $6)`,
		func(s shape, a people.Account) []any {
			return []any{a.ID, a.Nickname, s.number(a.Number), s.write(a.Registered), s.write(a.Verified), s.write(tenure.Instant(a.LastUsed))}
		}}},
	find: `SELECT tel, user_id, reg_date, tel_check_date FROM passport_user
		WHERE tel IN (SELECT value FROM json_each($1)) ORDER BY tel, user_id`,
	touch:  `UPDATE passport_user SET last_date = $1 WHERE user_id = $2`,
	number: func(n phone.Number) string { return strings.TrimPrefix(n.E164(), "+") },
	write:  writeText("2006-01-02", people.Zone),
	read:   readText("2006-01-02", people.Zone, true),
}

// shapes are the apps' by id; an app that is not listed keeps users. Those of people.Apps with DayOnly keep days.
var shapes = map[string]shape{
	"wechat": users, "xiaohongshu": users, "bilibili": users,
	"qq": tAccount, "weibo": tAccount, "douyin": tAccount, "toutiao": tAccount,
	"taobao": member, "xianyu": member, "alipay": member,
	"jd": customer, "meituan": customer, "dianping": customer,
	"baidu": passportUser, "kuaishou": passportUser, "pinduoduo": passportUser,
}

func shapeOf(app string) shape {
	if s, ok := shapes[app]; ok {
		return s
	}
	return users
}

func writeText(layout string, zone *time.Location) func(tenure.Mark) any {
	return func(m tenure.Mark) any {
		if m.IsZero() {
			return nil
		}
		return m.At.In(zone).Format(layout)
	}
}

func readText(layout string, zone *time.Location, dayOnly bool) func(any) tenure.Mark {
	return func(v any) tenure.Mark {
		text, _ := v.(string)
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			return tenure.Mark{}
		}
		return tenure.Mark{At: t, DayOnly: dayOnly}
	}
}

func writeMillis(m tenure.Mark) any {
	if m.IsZero() {
		return int64(0)
	}
	return m.At.UnixMilli()
}

func readMillis(v any) tenure.Mark {
	ms, _ := v.(int64)
	if ms == 0 {
		return tenure.Mark{}
	}
	return tenure.Instant(time.UnixMilli(ms).In(people.Zone))
}
