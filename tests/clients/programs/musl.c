/*
 * The resolver of musl (or of any C library): one question per line of standard input, `kind name`;
 * see resolvers.py.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static char found[1 << 16];

static void add(const char *text)
{
	if (found[0])
		strncat(found, " ", sizeof found - strlen(found) - 1);
	strncat(found, text, sizeof found - strlen(found) - 1);
}

static const char *word(int status)
{
	switch (status) {
	case 0: return "";
	case EAI_NONAME: return "EAI_NONAME";
	case EAI_AGAIN: return "EAI_AGAIN";
	case EAI_FAIL: return "EAI_FAIL";
#ifdef EAI_NODATA
	case EAI_NODATA: return "EAI_NODATA";
#endif
	default: return gai_strerror(status);
	}
}

static const char *addresses(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *first, *each;
	char text[INET6_ADDRSTRLEN];
	int status = getaddrinfo(name, 0, &hints, &first);
	if (status)
		return word(status);
	for (each = first; each; each = each->ai_next) {
		const void *raw = each->ai_family == AF_INET
			? (void *)&((struct sockaddr_in *)each->ai_addr)->sin_addr
			: (void *)&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr;
		add(inet_ntop(each->ai_family, raw, text, sizeof text));
	}
	freeaddrinfo(first);
	return "";
}

static const char *reverse(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *first;
	char host[NI_MAXHOST];
	int status = getaddrinfo(name, 0, &hints, &first);
	if (status)
		return word(status);
	status = getnameinfo(first->ai_addr, first->ai_addrlen, host, sizeof host, 0, 0, NI_NAMEREQD);
	freeaddrinfo(first);
	if (!status)
		add(host);
	return word(status);
}

static const char *srv(const char *name)
{
	static const char *const errors[] = {"", "HOST_NOT_FOUND", "TRY_AGAIN", "NO_RECOVERY", "NO_DATA"};
	unsigned char reply[65535];
	char target[NS_MAXDNAME], text[NS_MAXDNAME + 32];
	ns_msg message;
	ns_rr record;
	int size = res_query(name, ns_c_in, ns_t_srv, reply, sizeof reply);
	if (size < 0)
		return errors[h_errno];
	if (ns_initparse(reply, size, &message))
		return "ns_initparse";
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record) || ns_rr_type(record) != ns_t_srv)
			continue;
		const unsigned char *data = ns_rr_rdata(record);
		if (dn_expand(reply, reply + size, data + 6, target, sizeof target) < 0)
			return "dn_expand";
		snprintf(text, sizeof text, "%u:%u:%u:%s", ns_get16(data), ns_get16(data + 2),
			ns_get16(data + 4), target);
		add(text);
	}
	return found[0] ? "" : "NO_DATA";
}

int main(void)
{
	char line[1024];
	while (fgets(line, sizeof line, stdin)) {
		struct timespec begun, ended;
		const char *error = "kind?";
		char *name;
		line[strcspn(line, "\n")] = 0;
		if (!(name = strchr(line, ' ')))
			return 2;
		*name++ = 0;
		found[0] = 0;
		clock_gettime(CLOCK_MONOTONIC, &begun);
		if (!strcmp(line, "addresses"))
			error = addresses(name);
		else if (!strcmp(line, "reverse"))
			error = reverse(name);
		else if (!strcmp(line, "srv"))
			error = srv(name);
		clock_gettime(CLOCK_MONOTONIC, &ended);
		printf("%.2f\t%s\t%s\n", (ended.tv_sec - begun.tv_sec) * 1e3
			+ (ended.tv_nsec - begun.tv_nsec) / 1e6, error, found);
		fflush(stdout);
	}
	return 0;
}
