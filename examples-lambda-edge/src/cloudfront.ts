// As much of CloudFront's events as the function reads.

export type Headers = Record<string, { key?: string; value: string }[]>;

export interface Request {
  uri: string;
  querystring: string;
  method: string;
  headers: Headers;
  clientIp: string;
}

export interface Response {
  status: string;
  statusDescription?: string;
  headers?: Headers;
}

export interface Event {
  Records: { cf: { config: { eventType: string }; request: Request } }[];
}
