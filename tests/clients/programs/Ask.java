// Java's two resolvers: one question per line of standard input, `kind name`; see resolvers.py.
// The argument says which: `inet` is InetAddress, by the C library; `jndi` is the JDK's own.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Hashtable;
import java.util.List;
import javax.naming.NameNotFoundException;
import javax.naming.NamingException;
import javax.naming.directory.Attribute;
import javax.naming.directory.Attributes;
import javax.naming.directory.DirContext;
import javax.naming.directory.InitialDirContext;

public class Ask {
  private static DirContext context;

  public static void main(String[] arguments) throws Exception {
    boolean jndi = arguments[0].equals("jndi");
    if (jndi) {
      Hashtable<String, String> environment = new Hashtable<>();
      environment.put("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory");
      environment.put("java.naming.provider.url", "dns:");
      context = new InitialDirContext(environment);
    }
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      String[] words = line.split(" ");
      List<String> found = new ArrayList<>();
      String error = "";
      long begun = System.nanoTime();
      try {
        found = jndi ? jndi(words[0], words[1]) : inet(words[0], words[1]);
      } catch (UnknownHostException fault) {
        error = fault.getMessage().replaceFirst(".*: ", "");
      } catch (NamingException fault) {
        error = fault.getClass().getSimpleName() + ": " + fault.getExplanation();
      }
      double ms = (System.nanoTime() - begun) / 1e6;
      System.out.printf("%.2f\t%s\t%s%n", ms, error, String.join(" ", found));
      System.out.flush();
    }
  }

  private static List<String> inet(String kind, String name) throws UnknownHostException {
    List<String> found = new ArrayList<>();
    if (kind.equals("reverse")) {
      String host = InetAddress.getByName(name).getCanonicalHostName();
      if (host.equals(InetAddress.getByName(name).getHostAddress())) {
        throw new UnknownHostException("no such name");
      }
      found.add(host);
      return found;
    }
    for (InetAddress each : InetAddress.getAllByName(name)) {
      found.add(each.getHostAddress());
    }
    return found;
  }

  private static List<String> jndi(String kind, String name) throws NamingException {
    List<String> found = new ArrayList<>();
    String[] types = {"A", "AAAA"};
    if (kind.equals("srv")) {
      types = new String[] {"SRV"};
    } else if (kind.equals("reverse")) {
      types = new String[] {"PTR"};
      name = arpa(name);
    }
    for (String type : types) {
      Attributes attributes = context.getAttributes(name, new String[] {type});
      Attribute all = attributes.get(type);
      for (int i = 0; all != null && i < all.size(); i++) {
        String text = all.get(i).toString();
        found.add(type.equals("SRV") ? text.replace(' ', ':') : text);
      }
    }
    if (found.isEmpty()) {
      throw new NameNotFoundException("no data");
    }
    return found;
  }

  /** The name under in-addr.arpa or ip6.arpa: JNDI knows none by itself. */
  private static String arpa(String address) {
    StringBuilder made = new StringBuilder();
    try {
      byte[] octets = InetAddress.getByName(address).getAddress();
      for (int i = octets.length - 1; i >= 0; i--) {
        int octet = octets[i] & 0xff;
        made.append(octets.length == 4 ? octet + "." : String.format("%x.%x.", octet & 15, octet >> 4));
      }
      return made + (octets.length == 4 ? "in-addr.arpa" : "ip6.arpa");
    } catch (UnknownHostException fault) {
      throw new IllegalArgumentException(fault);
    }
  }
}
