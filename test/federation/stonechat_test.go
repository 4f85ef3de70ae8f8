// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// stonechat is the server that is judged.
func stonechat() software {
	return software{name: "stonechat", program: "go", configure: configureStonechat,
		command: func(t *testing.T, s *server) *exec.Cmd {
			cmd := exec.Command(stonechatBinary.MustPath(t), "serve", "-c", filepath.Join(s.folder, "stonechat.yaml"))
			cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(s.folder, "roots.pem"), "SSL_CERT_DIR=/nonexistent")
			return cmd
		},
		reasons: map[kindOf][]string{expired: {"expired"}, wrongName: {"the certificate is not for"}, untrusted: {"unknown authority"}},
	}
}

func configureStonechat(t *testing.T, s *server) {
	certificates := "required"
	if s.lenient {
		certificates = "preferred"
	}
	write(t, filepath.Join(s.folder, "stonechat.yaml"), fmt.Appendf(nil, `domains: [%[3]s]
data: %[1]s/data
tls: {certificate: %[1]s/cert.pem, key: %[1]s/key.pem}
listen:
  client: ["%[2]s:%[4]d"]
  client_tls: ["%[2]s:%[5]d"]
  server: ["%[2]s:%[6]d"]
  server_tls: ["%[2]s:%[7]d"]
  http: []
  https: []
  metrics: []
  component: []
registration: open
federation: {certificates: %[8]s, resolver: "%[9]s", give_up: 2m}
limits:
  failed_logins_per_minute: none
  registrations_per_hour: none
modules:
  mam: {default: always}
log: {level: debug}
`, s.folder, s.host, s.domain, clientPort, clientTLSPort, serverPort, serverTLSPort, certificates, s.bed.names.address()))
}
