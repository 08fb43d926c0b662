// The simulator of govmomi as one standalone ESXi host: `vcsim ADDRESS` prints host:port and serves TLS there
// until standard input ends. The login is root, the password right. An NFS datastore is a folder of its name in the
// working directory.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	model := simulator.ESX()
	model.Machine = 0
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: os.Args[1] + ":0", User: url.UserPassword("root", "right")}
	server := model.Service.NewServer()
	defer server.Close()
	fmt.Println(server.URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
