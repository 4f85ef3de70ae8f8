// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func sampleReport() (*Report, error) {
	targets := []Target{{Name: "ours", Kind: XMPP, Security: StartTLS, Version: "1.0"}, {Name: "broker", Kind: MQTT, Security: DirectTLS}, {Name: "raw", Kind: Raw, Security: Plain}}
	rep := (&Run{Rounds: 2}).report("relay", nil, "few pairs", targets)
	rep.Machine = Machine{CPU: "cpu", Cores: 2, Memory: 4 << 30, Kernel: "6", OS: "os", Go: "go"}
	for round, row := range [][]float64{{8, 20, 4}, {12, 24, 4}} {
		for i, v := range row {
			var s Sample
			s.set(CPUPerMessage, "µs", v, true)
			if i == 0 {
				s.set(WirePerMessage, "B", 543.21, false)
			}
			rep.Results[i].add(round, s)
		}
	}
	rep.Results[1].fault("3 messages lost")
	return rep, rep.finish()
}

func TestTable(t *testing.T) {
	rep, err := sampleReport()
	if err != ErrFaults {
		t.Errorf("error %v; want ErrFaults", err)
	}
	for name, tt := range map[string]struct {
		write func(io.Writer) error
		want  string
	}{
		"text": {rep.WriteText, `relay: few pairs; 2 rounds
cpu, 2 cores, 4 GiB, Linux 6, os, go
ours: 1.0
target        CPU per message, µs  wire per message, B             × raw             × broker
ours (TLS)       10.0 [8.00–12.0]                  543  2.50 [2.00–3.00]  0.450 [0.400–0.500]
broker (TLS)     22.0 [20.0–24.0]                    –  5.50 [5.00–6.00]                    –
raw                          4.00                    –                 –  0.183 [0.167–0.200]
FAULT broker: 3 messages lost
`},
		"markdown": {rep.WriteMarkdown, `| target | CPU per message, µs | wire per message, B | × raw | × broker |
|---|--:|--:|--:|--:|
| ours (TLS) | 10.0 [8.00–12.0] | 543 | 2.50 [2.00–3.00] | 0.450 [0.400–0.500] |
| broker (TLS) | 22.0 [20.0–24.0] | – | 5.50 [5.00–6.00] | – |
| raw | 4.00 | – | – | 0.183 [0.167–0.200] |

* FAULT broker: 3 messages lost
`},
	} {
		var b strings.Builder
		if err := tt.write(&b); err != nil || b.String() != tt.want {
			t.Errorf("%s (%v):\n%s\nwant:\n%s", name, err, b.String(), tt.want)
		}
	}
	data, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || back.Results[0].Figure(CPUPerMessage).Ratios[0].Median != 2.5 {
		t.Errorf("JSON: %v, %s", err, data)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01234: "0.0123", 0.5: "0.500", 1.5: "1.50", 12.34: "12.3", 123.4: "123", 12345.6: "12346", -1.5: "-1.50"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s; want %s", v, got, want)
		}
	}
}
