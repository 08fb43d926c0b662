"""Who is where: the tutorial's addresses, with a third server, a second balancer and a client."""

VIP, PORT = "192.168.2.100", 6443
SERVERS = {"k8s-master1": "192.168.2.1", "k8s-master2": "192.168.2.2", "k8s-master3": "192.168.2.3"}
BALANCERS = {"lb1": "192.168.2.11", "lb2": "192.168.2.12"}
CLIENT, ETCD = "192.168.2.50", "192.168.2.4"
# The server that things happen to.
SICK = "k8s-master2"
# The one that has the small weight where there are weights.
LIGHT = "k8s-master1"
INTERFACE = "eth0"
