package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/clock"
	"untether/internal/sms/wire"
)

var errBindTimeout = errors.New("the SMS centre did not answer the bind in time")

// bind connects and binds a transceiver within the response timeout.
func (c *Client) bind(ctx context.Context) (*link, error) {
	trying, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go func() {
		if clock.Wait(trying, c.clock, c.clock.Now().Add(c.config.ResponseTimeout)) == nil {
			giveUp(errBindTimeout)
		}
	}()
	peer, err := c.dial(trying)
	if err != nil {
		return nil, why(trying, err)
	}
	conn := wire.New(peer)
	stop := context.AfterFunc(trying, conn.Close)
	if err := c.introduce(conn); err != nil {
		conn.Close()
		return nil, why(trying, err)
	}
	if !stop() {
		return nil, context.Cause(trying)
	}
	return startLink(conn, c), nil
}

// why prefers the reason for which an attempt was given up over the failure that giving it up caused.
func why(trying context.Context, err error) error {
	if cause := context.Cause(trying); cause != nil {
		return cause
	}
	return err
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	if c.config.TLS != nil {
		return (&tls.Dialer{Config: c.config.TLS}).DialContext(ctx, "tcp", c.config.Address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", c.config.Address) // Go sets TCP_NODELAY itself
}

// bindSequence is the first sequence number of every connection.
const bindSequence = 1

// introduce sends the bind and waits for its answer.
func (c *Client) introduce(conn *wire.Conn) error {
	request := pdu.NewBindRequest(pdu.Transceiver)
	request.SystemID, request.Password, request.SystemType = c.config.SystemID, c.config.Password, c.config.SystemType
	request.SetSequenceNumber(bindSequence)
	if err := conn.Send(request); err != nil {
		return err
	}
	for {
		p, err := conn.Read()
		if err != nil {
			return err
		}
		switch p := p.(type) {
		case *pdu.BindResp:
			if p.CommandStatus != data.ESME_ROK {
				return refusal(p.CommandStatus)
			}
			return nil
		case *pdu.GenericNack:
			return refusal(p.CommandStatus)
		}
	}
}

func refusal(status data.CommandStatusType) error {
	return fmt.Errorf("the SMS centre refuses the bind: %s (0x%02x)", status.Desc(), uint32(status))
}
