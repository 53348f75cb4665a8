// The service names that people write instead of a port. A table, so that they mean the same on every platform
// (Windows and containers often have no /etc/services). Source: IANA's Service Name and Port Number Registry.
const ports: Readonly<Record<string, number>> = {
  ftp: 21, ssh: 22, telnet: 23, smtp: 25, domain: 53, gopher: 70, http: 80, www: 80, kerberos: 88, pop3: 110, sunrpc: 111,
  nntp: 119, ntp: 123, imap2: 143, imap: 143, snmp: 161, ldap: 389, https: 443, submissions: 465, submission: 587,
  ldaps: 636, rsync: 873, ftps: 990, imaps: 993, pop3s: 995, socks: 1080, openvpn: 1194, 'ms-sql-s': 1433, mqtt: 1883,
  nfs: 2049, mysql: 3306, 'ms-wbt-server': 3389, svn: 3690, sip: 5060, 'xmpp-client': 5222, postgresql: 5432, amqps: 5671,
  amqp: 5672, x11: 6000, redis: 6379, 'http-alt': 8080, 'secure-mqtt': 8883,
}; // prettier-ignore

/** The TCP port of a service's name, or `undefined`. */
export function servicePort(name: string): number | undefined {
  return Object.hasOwn(ports, name) ? ports[name] : undefined;
}
