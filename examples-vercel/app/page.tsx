const routes = ["/api/cached-data?key=a", "/api/edge/cached-data?key=a"];

export default function Page() {
  return (
    <main>
      <h1>Ferrite on Vercel</h1>
      <p>Ask twice, and look at the header <code>X-Cache</code>.</p>
      <ul>{routes.map((route) => <li key={route}><a href={route}>{route}</a></li>)}</ul>
    </main>
  );
}
