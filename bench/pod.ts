/** A pod as a Deployment would make it: about 2.4 kB once stored. */
export const podBody = (name: string, namespace = 'default'): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { app: 'bench', tier: 'web', 'pod-template-hash': '5d8c7bdf9c', release: 'stable' },
      annotations: { 'example.com/purpose': 'measures what one write costs', 'example.com/team': 'skiff' },
    },
    spec: {
      containers: [
        {
          name: 'web',
          image: 'registry.example.com/team/web:1.2.3',
          args: ['--listen=:8080', '--log=json'],
          ports: [{ name: 'http', containerPort: 8080 }],
          env: [
            { name: 'MODE', value: 'production' },
            { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          ],
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
          readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 5 },
          volumeMounts: [{ name: 'config', mountPath: '/etc/web' }],
        },
      ],
      volumes: [{ name: 'config', configMap: { name: 'web' } }],
      schedulerName: 'none',
      terminationGracePeriodSeconds: 30,
    },
  });
