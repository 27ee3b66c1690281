const DATA = '  --data DIR          where the cluster keeps what it has (~/.skiff)';

const PLANE = `${DATA}
  --port P            of the API server on 127.0.0.1 (6443)
  --nodes N           local nodes, each in a network namespace of its own (1; 0 is the control plane alone)
  --runtime R         auto, nerdctl, cri, or hollow: no containers, states advance by rules (auto)
  --yes               install missing packages without asking`;

/** What `skiff COMMAND --help` prints, by command. */
export const USAGES: Readonly<Record<string, string>> = {
  demo: `usage: skiff demo [--keep] [options]

Starts a cluster in a folder of its own, runs a real application on it, and takes it down. Needs root for containers.

  --keep              leave it running at the end
${PLANE.replace('(~/.skiff)', '(a new one below the folder for temporary files)')}`,

  up: `usage: skiff up [--detach] [options]

Starts the control plane and its nodes; in the foreground until Ctrl-C. Needs root for containers.

  --detach            return when it is ready; ./skiff down ends it
  --config FILE       documents that set the API server up; a change of the file is in force within seconds. Kinds:
                      AuthenticationConfiguration, AuthorizationConfiguration, EncryptionConfiguration,
                      AdmissionConfiguration (PodSecurity) and Policy (audit) as Kubernetes has them; of skiff.dev/v1
                      AuditSink, AWSIdentityConfiguration and FlowControlConfiguration. Repeatable
${PLANE}`,

  down: `usage: skiff down [--purge] [--data DIR]

Stops what up started: containers, nodes and control plane. The data stays.

  --purge             remove the data too
${DATA}`,

  status: `usage: skiff status [--data DIR]

Says what runs and where. Exit code 0 when it is up and every node is Ready, 1 otherwise.

${DATA}`,

  kubeconfig: `usage: skiff kubeconfig [--data DIR]
       skiff kubeconfig --aws [options]

Prints the administrator's kubeconfig; its file is kubeconfig in the data directory. With --aws it prints one without a
secret, for principals of AWS that the cluster lets in: clients ask ./skiff token.

  --cluster C         of which cluster (default)
  --cluster-id ID     what the cluster calls itself; not needed for clusters made with ./skiff cluster create
  --region R, --profile P, --role-arn ARN, --sts-endpoint URL   as ./skiff token takes them
${DATA}`,

  token: `usage: skiff token --cluster-id ID [options]

Prints an ExecCredential for kubectl: a token of the kind that aws eks get-token makes, with credentials of AWS as its SDKs
find them. Nothing is sent but what finding them takes.

  --cluster-id ID     clusterId of AWSIdentityConfiguration, or of spec.accessConfig; else the uid of the Cluster
  --region R          whose STS is to be asked (AWS_REGION, else us-east-1)
  --profile P         of the AWS configuration
  --role-arn ARN      a role to assume first
  --session-name N    of that role
  --sts-endpoint URL  of a stand-in for STS`,

  deploy: `usage: skiff deploy [options]

Puts the control plane on AWS as one stack, or on a stand-in for it. A second deploy brings changed code.

  --profile P         of the AWS configuration
  --region R          (AWS_REGION, else us-east-1)
  --endpoint URL      of LocalStack or MiniStack instead of AWS
  --gateway ec2|URL   how exec, logs and port-forward reach nodes: an instance of the stack, or one at a URL
  --nodes             bring up EC2 nodes for pods that wait, and remove them when they are empty
  --kms-key new|none|ARN   under which secrets lie in the table; new is a key of the stack (new)
  --stack NAME        (Skiff)
  --keep-data         keep the table when the stack is destroyed
  --retention-hours N how long changes can be read back by watches (1)
  --config FILE       documents that set the API server up; kept until others are given, an empty file takes them away
${DATA}`,

  destroy: `usage: skiff destroy [--data DIR]

Removes all that deploy made, the data too unless it was deployed with --keep-data. Does not ask.

${DATA}`,

  front: `usage: skiff front [--port P] [--gateway URL] [--data DIR]

TLS on this machine in front of a deployment without, until Ctrl-C; kubectl sends credentials over TLS only.

  --port P            on 127.0.0.1 (6443)
  --gateway URL       where exec, logs and port-forward go; else the gateway of the deployment, if it has one
${DATA}`,

  gateway: `usage: skiff gateway [options]

Lets exec, logs and port-forward reach the nodes of a deployment, until Ctrl-C.

  --host H            address to listen on (127.0.0.1)
  --port P            (8443)
  --name NAME         a name or address that its certificate is for; may be repeated
  --cert FILE --key FILE   a certificate of your own instead
${DATA}`,

  cluster: `usage: skiff cluster create NAME [--display-name TEXT] [--quota WHAT=N]... [--admin-arn ARN]... [--data DIR]
       skiff cluster list [--data DIR]
       skiff cluster delete NAME [--no-wait] [--data DIR]
       skiff cluster kubeconfig NAME [--days N] [--data DIR]

WHAT is objects, bytes, requestsPerSecond or nodes; N may be a quantity such as 10k or 64Mi. ARN is an IAM role or user
that comes in as administrator with credentials of AWS (./skiff kubeconfig --aws --cluster NAME).`,

  node: `usage: skiff node token [--nodes PREFIX] [--minutes N] [--cluster C] [--data DIR]
       skiff node join --server URL --token T [options]

token prints a credential with which machines can join; join runs this machine as a node, until Ctrl-C, as root.

  --nodes PREFIX      the token is for nodes whose names start so (any)
  --minutes N         how long the token lasts (60)
  --cluster C         of which cluster of a deployment (default)

  --server URL        of the deployment
  --token T           not needed once the machine has joined
  --name N            of the node (the host's name)
  --gateway URL       where the node's gateway is
  --ca FILE           authority that vouches for the server
  --lease-seconds N   how often the node renews its lease (180)
  --runtime R         auto, nerdctl, cri or hollow (auto)
  --yes               install missing packages without asking
${DATA}`,

  keys: `usage: skiff keys status [--data DIR]
       skiff keys rotate --signing|--encryption [--data DIR]
       skiff keys remove --signing|--encryption NAME [--data DIR]

status says which keys there are and how many stored values lie under each. rotate makes a new one: --signing for tokens,
which logs nobody out; --encryption for secrets, all of which are then encrypted anew. remove takes an old key away: the
tokens that a signing key signed count no more; a key that values lie under stays.`,

  snapshot: `usage: skiff snapshot save FILE [--cluster C] [--key FILE|--plain] [--data DIR]
       skiff snapshot restore FILE --cluster NEW [--key FILE] [--data DIR]

save writes a cluster as of one moment to a file; restore makes a new cluster from it, beside what is there.
./skiff cluster kubeconfig NEW then prints its kubeconfig.

  --key FILE          32 bytes in base64 that encrypt the file (snapshot-key in the data directory, made at the first save)
  --plain             leave it readable: it holds every secret of the cluster`,

  image: `usage: skiff image build DIR --name NAME[:TAG] [--data DIR]
       skiff image load FILE [--name NAME[:TAG]] [--data DIR]

load puts the images of an archive on the nodes: what docker save or an OCI image layout makes, plain, gzip or zstd.
With --name its one image goes by that name. build makes an image of the folder's files, without a registry, and loads
it. image.yaml in DIR may say:

  binaries: [node, sh, /usr/bin/redis-server]   # programs of this machine, with their libraries
  entrypoint: [/usr/bin/node, /app/server.js]
  command: [--verbose]
  env: { KEY: value }
  workingDir: /app
  user: "1000"
  target: /app                                  # where the folder's files go
`.trimEnd(),
};
