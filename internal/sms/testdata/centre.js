// An SMS centre that we did not write: the server of npm's smpp package, for tests on loopback.
//
//   node centre.js DIRECTORY [PORT]
//
// DIRECTORY is where smpp is installed. Without PORT a free one is taken. SYSTEM_ID and PASSWORD come from the environment
// (default hub, secret). Every fact is one JSON line on standard output:
//
//   {"event":"listening","port":N}
//   {"event":"bound","systemId":…}                     after a bind that was accepted
//   {"event":"submit","id":…,"from":…,"to":…,"hex":…,"esmClass":N,"dataCoding":N,"reference":N}
//                                                       hex is short_message as it came, user data header included
//   {"event":"answered","id":…}                         the client acknowledged the receipt of that id
//
// A receipt follows every submit_sm that asked for one. A JSON line {"from":…,"to":…,"text":…} on standard input is a handset
// sending a text. The end of standard input ends the program.
'use strict';
const { createRequire } = require('module');
const path = require('path');
const readline = require('readline');

const smpp = createRequire(path.resolve(process.argv[2]) + path.sep)('smpp');
const port = Number(process.argv[3] || 0);
const systemId = process.env.SYSTEM_ID || 'hub';
const password = process.env.PASSWORD || 'secret';

// Bodies are wanted as they came, not as the package would decode them.
delete smpp.commands.submit_sm.params.short_message.filter;

const say = (fact) => process.stdout.write(JSON.stringify(fact) + '\n');
const receivers = new Set();
let last = 0;

function receipt(session, submit, id) {
  const at = '2611231815';
  session.deliver_sm({
    source_addr_ton: submit.dest_addr_ton,
    source_addr_npi: submit.dest_addr_npi,
    source_addr: submit.destination_addr,
    destination_addr: submit.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:${at} done date:${at} stat:DELIVRD err:000 text:`,
  }, () => say({ event: 'answered', id }));
}

function bind(session, pdu, receives) {
  if (pdu.system_id !== systemId || pdu.password !== password) {
    session.send(pdu.response({ command_status: smpp.ESME_RBINDFAIL }));
    session.close();
    return;
  }
  session.send(pdu.response({ system_id: 'npm' }));
  session.bound = true;
  if (receives) receivers.add(session);
  say({ event: 'bound', systemId: pdu.system_id });
}

function submit(session, pdu) {
  if (!session.bound) {
    session.send(pdu.response({ command_status: smpp.ESME_RINVBNDSTS }));
    return;
  }
  const id = 'npm-' + process.pid + '-' + ++last;
  session.send(pdu.response({ message_id: id }));
  say({
    event: 'submit', id, from: pdu.source_addr, to: pdu.destination_addr,
    hex: Buffer.from(pdu.short_message).toString('hex'),
    esmClass: pdu.esm_class, dataCoding: pdu.data_coding, reference: pdu.user_message_reference,
  });
  if (pdu.registered_delivery & 1) receipt(session, pdu, id);
}

const server = smpp.createServer((session) => {
  session.on('bind_transceiver', (pdu) => bind(session, pdu, true));
  session.on('bind_transmitter', (pdu) => bind(session, pdu, false));
  session.on('bind_receiver', (pdu) => bind(session, pdu, true));
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
  session.on('close', () => receivers.delete(session));
  session.on('error', () => session.destroy());
});
server.listen(port, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { from, to, text } = JSON.parse(line);
    for (const session of receivers) {
      session.deliver_sm({
        source_addr_ton: 1, source_addr_npi: 1, source_addr: from.replace(/^\+/, ''),
        destination_addr: to, short_message: text,
      });
    }
  })
  .on('close', () => process.exit(0));
